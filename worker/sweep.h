#pragma once
/* What nobody tells the loop, seen by looking: jobs that are too late, that make progress, that are stuck; disk space, heartbeat, an idle consumer. Every second, in a turn's transaction. */
struct err;
struct worker;

int sweep(struct worker *worker, struct err *err);
