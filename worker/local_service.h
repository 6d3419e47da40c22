#pragma once
/*
 * The worker's side of `fleetsnap-worker restore`: a socket in the state directory (0600) and a thread that serves one asker at a time, with backend handles of its own. It is told a
 * struct local_restore as one line of JSON, answers with a line for each event and a last one, and takes back what was done when the asker hangs up. Needs neither the loop, nor
 * Kafka, nor Redis.
 */
#include <jansson.h>

struct backend_config;
struct err;
struct local_service;

int local_service_start(const struct backend_config *config, struct local_service **out, struct err *err);
void local_service_close(struct local_service *service); /* what it is at is left for the next call; joins the thread */

/* The asker's side: a connected socket, -1 with err, or -2: nobody listens there. */
int local_service_connect(const char *state_directory, struct err *err);
