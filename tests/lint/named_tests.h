#pragma once
/* Which e2e tests are called after a verb: test_NOUN_VERB, or test_NOUN_VERB_what_it_proves. Of the tables of verbs_doc; one thread. */
struct text;

/* Appends "`test_…` (FILE)" for each, with commas between; nothing where there is none. Aborts where the scripts cannot be read. */
void named_tests_add(const char *verb, struct text *out);
