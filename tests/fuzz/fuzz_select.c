/* A label selector; its answer to a fixed set of labels must not change when it is asked twice. */
#include "fuzz.h"

#include "base/err.h"
#include "base/facts.h"
#include "model/select.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct selector *selector = NULL;
    struct facts labels = {0};
    struct err err;
    char *text = strndup((const char *)data, size);

    facts_set(&labels, "app", "shop", NULL);
    facts_set(&labels, "in", "a", NULL);
    if (selector_parse(text, &selector, &err) == 0 &&
        selector_match(selector, &labels) != selector_match(selector, &labels))
        abort();
    selector_free(selector);
    facts_clear(&labels);
    free(text);
    return 0;
}
