#pragma once
/* At the start: what the journal says was going on goes on. */
struct err;
struct worker;

int reconcile(struct worker *worker, struct err *err);
