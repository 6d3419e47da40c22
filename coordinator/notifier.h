#pragma once
/* Tells webhooks what goes wrong (alarm.h, notice.h), in its own thread: nobody waits for it. docs/monitoring.md has what is promised. */
struct coordinator;
struct err;
struct notifier;

/* *out NULL: no webhook is configured. */
int notifier_start(struct coordinator *coordinator, struct notifier **out, struct err *err);
void notifier_stop(struct notifier *notifier); /* after the main loop has ended; NULL is fine */
