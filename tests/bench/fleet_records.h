#pragma once
/*
 * A fleet that is only records: what the leader of term 1 and its hosts would have written about TARGETS machines on HOSTS hosts, and JOBS backups of them that have ended, of each
 * its record in the ledger, its two marks, its two events, and a restore point of the first of each machine. Errors end the program: it is a bench.
 */
#include <stdbool.h>

struct kafka_options;

struct fleet_size {
    long targets, hosts, jobs;
};

enum { FLEET_FAILED_EVERY = 97 /* jobs */ };

void fleet_write(const struct kafka_options *kafka, const unsigned char *master, const struct fleet_size *size);
void fleet_host(char out[64], long host);
void fleet_target(char out[64], long target); /* "kind:id" */
