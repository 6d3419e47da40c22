#pragma once
/* Label selectors as in kubectl: "app=shop,tier!=db,env in (a,b),!legacy,owner". Pure. */
#include <stdbool.h>

struct err;
struct facts;
struct selector;

int selector_parse(const char *text, struct selector **out,
                   struct err *err); /* NULL or "" selects all; errors name the column */
bool selector_match(const struct selector *selector, const struct facts *labels);
void selector_free(struct selector *selector);
