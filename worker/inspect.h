#pragma once
/*
 * --inspect: what the journal holds, as text or JSON. A live worker has its journal locked, so it is asked by a socket in its state directory; a dead one's is read.
 */
#include <stdbool.h>

struct err;
struct inspector;
struct journal;

/* The worker's side; the loop's thread. One asker at a time, never waited for. */
int inspector_open(const char *directory, struct journal *journal, struct inspector **out, struct err *err);
void inspector_close(struct inspector *inspector);
int inspector_fd(const struct inspector *inspector);
short inspector_events(const struct inspector *inspector);
void inspector_serve(struct inspector *inspector);

/* The command's side: prints to stdout. */
int inspect(const char *directory, bool json, struct err *err);
