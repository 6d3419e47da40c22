/* Prints docs/policy.schema.json: `policy_schema_doc > docs/policy.schema.json`. With a path: exit 1 if that file says something else. */
#include "base/file.h"
#include "base/text.h"
#include "coordinator/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct text text = {0};
    char *file = NULL;
    int code = 0;

    policy_schema(&text);
    if (argc < 2) {
        fputs(text_str(&text), stdout);
    } else if (file_read(argv[1], 1024 * 1024, &file, NULL, NULL) < 0 || strcmp(file, text_str(&text)) != 0) {
        fprintf(stderr, "%s is not what the tables say: policy_schema_doc > docs/policy.schema.json\n", argv[1]);
        code = 1;
    }
    free(file);
    text_free(&text);
    return code;
}
