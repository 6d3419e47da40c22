#pragma once
/* The worker's main loop. loop.c is the place to begin reading. */
struct worker;

int loop_run(struct worker *worker); /* until drained or failed; exit code */
