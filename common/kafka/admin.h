#pragma once
/* Private to common/kafka: one admin handle, and what topics.c asks it. */
#include "kafka/client.h"

enum { WANTED_MAX = 8 };

enum compare { SAME, AT_MOST, AT_LEAST };

struct wanted { /* one setting of a topic, and what it must be */
    const char *name;
    enum compare compare;
    char value[32];
};

struct topic_facts {          /* what a topic is */
    int partitions, replicas; /* partitions 0: there is no such topic; replicas: the fewest of any partition */
    struct setting_value {
        char name[64], value[64];
    } settings[WANTED_MAX]; /* those that were asked for and are set */
    size_t count;
};

struct admin {
    struct kafka_client client;
};

int admin_open(const struct kafka_options *options, struct admin *admin, struct err *err);
void admin_close(struct admin *admin);
int admin_topic(struct admin *admin, const char *topic, struct topic_facts *out,
                struct err *err); /* partitions and replicas */
int admin_settings(struct admin *admin, const char *topic, const struct wanted *asked, size_t count,
                   struct topic_facts *out, struct err *err);
int admin_create(struct admin *admin, const char *topic, int partitions, int replicas, const struct wanted *settings,
                 size_t count, struct err *err);                              /* one that exists already is success */
void admin_pause(struct admin *admin, int ms);                                /* serves the handle meanwhile */
const char *topic_setting(const struct topic_facts *facts, const char *name); /* NULL: not set */
