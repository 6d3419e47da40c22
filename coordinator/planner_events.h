#pragma once
/* Deploy events: the topic fleetsnap.deploys, read by the planner of whoever leads. For planner*.c only. */
struct err;
struct planner;
struct planner_events;

/* What has come since the last call; the first call begins with all that the topic has, for what is known already changes nothing. -1: later again, nothing is lost. */
int planner_events_read(struct planner *planner, struct err *err);
void planner_events_close(struct planner_events *events);
