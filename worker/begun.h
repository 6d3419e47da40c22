#pragma once
/*
 * Which jobs run of which nothing was said. Their rows in the journal still say ACCEPTED: to write each of them twice within some milliseconds costs more than the job. One fact names all of
 * them, written again in each turn in which one more begins, in its transaction; who has ended since has a row that says so. The loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct custody;
struct err;

/* Before the commit of a turn in which such a job began; otherwise nothing. */
int begun_write(struct custody *custody, struct err *err);
/* True if `row` is among those that `text` names, as begun_write has written it; NULL names none. */
bool begun_names(const char *text, int64_t row);
extern const char begun_fact[];
