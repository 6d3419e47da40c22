/*
 * Questions to the cluster, each on a short-lived handle: identity, brokers, topics and their settings, making a topic. Admin requests of librdkafka are
 * asynchronous; ask() waits for the one answer, with a deadline, so nothing here hangs when no broker answers.
 */
#include "kafka/admin.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST_MS = 15000 };

int admin_open(const struct kafka_options *options, struct admin *admin, struct err *err)
{
    return kafka_client_open_probe(options, &admin->client, err);
}

void admin_close(struct admin *admin)
{
    kafka_client_close(&admin->client);
}

void admin_pause(struct admin *admin, int ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(admin->client.handle, ms);

    if (message)
        rd_kafka_message_destroy(message);
}

/* ---- metadata ---- */

static void metadatap(const struct rd_kafka_metadata **metadata)
{
    if (*metadata)
        rd_kafka_metadata_destroy(*metadata);
}

/* Partitions and the fewest replicas of one; 0 partitions if there is no such topic. */
static int read_topic(const struct rd_kafka_metadata *metadata, const char *topic, int *partitions, int *replicas,
                      struct err *err)
{
    const struct rd_kafka_metadata_topic *found = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    rd_kafka_resp_err_t code = found ? found->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;

    *partitions = 0;
    *replicas = 0;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
        return 0;
    if (code && code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return kafka_err(err, code, "kafka topic %s", topic);
    *partitions = found->partition_cnt;
    for (int i = 0; i < found->partition_cnt; i++) {
        if (i == 0 || found->partitions[i].replica_cnt < *replicas)
            *replicas = found->partitions[i].replica_cnt;
    }
    return 0;
}

static int ask_topic(rd_kafka_t *handle, const char *topic, int timeout_ms, int *partitions, int *replicas,
                     struct err *err)
{
    CLEANUP(metadatap) const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *named = rd_kafka_topic_new(handle, topic, NULL);
    rd_kafka_resp_err_t code;

    if (!named)
        return err_set(err, ERR_PERMANENT, "kafka topic %s: not a valid name", topic);
    code = rd_kafka_metadata(handle, 0, named, &metadata, timeout_ms);
    rd_kafka_topic_destroy(named);
    if (code)
        return kafka_err(err, code, "kafka topic %s", topic);
    return read_topic(metadata, topic, partitions, replicas, err);
}

int admin_topic(struct admin *admin, const char *topic, struct topic_facts *out, struct err *err)
{
    *out = (struct topic_facts){0};
    return ask_topic(admin->client.handle, topic, REQUEST_MS, &out->partitions, &out->replicas, err);
}

int kafka_partition_count(const struct kafka_options *options, const char *topic, int timeout_ms, int32_t *out,
                          struct err *err)
{
    struct admin admin = {0};
    int partitions;
    int replicas;
    int result;

    if (admin_open(options, &admin, err) < 0)
        return -1;
    result = ask_topic(admin.client.handle, topic, timeout_ms, &partitions, &replicas, err);
    admin_close(&admin);
    if (result == 0)
        *out = partitions;
    return result;
}

int kafka_broker_info(const struct kafka_options *options, int timeout_ms, int *out_brokers, struct err *err)
{
    CLEANUP(metadatap) const struct rd_kafka_metadata *metadata = NULL;
    struct admin admin = {0};
    rd_kafka_resp_err_t code;

    if (admin_open(options, &admin, err) < 0)
        return -1;
    code = rd_kafka_metadata(admin.client.handle, 0, NULL, &metadata, timeout_ms);
    admin_close(&admin);
    if (code)
        return kafka_err(err, code, "kafka %s", options->brokers);
    *out_brokers = metadata->broker_cnt;
    return 0;
}

int kafka_cluster_id(const struct kafka_options *options, int timeout_ms, char out[64], struct err *err)
{
    struct admin admin = {0};
    char *id;

    if (admin_open(options, &admin, err) < 0)
        return -1;
    id = rd_kafka_clusterid(admin.client.handle, timeout_ms);
    if (id)
        snprintf(out, 64, "%s", id);
    else
        err_set(err, ERR_RETRY, "kafka %s: no answer", options->brokers);
    rd_kafka_mem_free(admin.client.handle, id);
    admin_close(&admin);
    return id ? 0 : -1;
}

/* ---- admin requests ---- */

static void eventp(rd_kafka_event_t **event)
{
    if (*event)
        rd_kafka_event_destroy(*event);
}

static void optionsp(rd_kafka_AdminOptions_t **options)
{
    if (*options)
        rd_kafka_AdminOptions_destroy(*options);
}

static void queuep(rd_kafka_queue_t **queue)
{
    if (*queue)
        rd_kafka_queue_destroy(*queue);
}

/* NULL (err set) if there was no answer or it is an error as a whole. */
static rd_kafka_event_t *answer(rd_kafka_queue_t *queue, const char *topic, struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, REQUEST_MS + 1000);

    if (event && !rd_kafka_event_error(event))
        return event;
    kafka_err(err, event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT, "kafka topic %s", topic);
    if (event)
        rd_kafka_event_destroy(event);
    return NULL;
}

static rd_kafka_AdminOptions_t *request_options(rd_kafka_t *handle, rd_kafka_admin_op_t op)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(handle, op);

    if (options)
        rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_MS, NULL, 0);
    return options;
}

const char *topic_setting(const struct topic_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (strcmp(facts->settings[i].name, name) == 0)
            return facts->settings[i].value;
    }
    return NULL;
}

static void read_settings(const rd_kafka_ConfigResource_t *resource, const struct wanted *asked, size_t count,
                          struct topic_facts *out)
{
    size_t entries;
    const rd_kafka_ConfigEntry_t **list = rd_kafka_ConfigResource_configs(resource, &entries);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < entries && out->count < WANTED_MAX; j++) {
            const char *value = rd_kafka_ConfigEntry_value(list[j]);
            if (!value || strcmp(rd_kafka_ConfigEntry_name(list[j]), asked[i].name) != 0)
                continue;
            snprintf(out->settings[out->count].name, sizeof out->settings[0].name, "%s", asked[i].name);
            snprintf(out->settings[out->count++].value, sizeof out->settings[0].value, "%s", value);
        }
    }
}

static int read_description(const rd_kafka_event_t *event, const char *topic, const struct wanted *asked, size_t count,
                            struct topic_facts *out, struct err *err)
{
    size_t resources;
    const rd_kafka_ConfigResource_t **list = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result((rd_kafka_event_t *)event), &resources);
    rd_kafka_resp_err_t code = resources == 1 ? rd_kafka_ConfigResource_error(list[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;

    if (code)
        return kafka_err(err, code, "kafka topic %s: settings", topic);
    read_settings(list[0], asked, count, out);
    return 0;
}

int admin_settings(struct admin *admin, const char *topic, const struct wanted *asked, size_t count,
                   struct topic_facts *out, struct err *err)
{
    rd_kafka_t *handle = admin->client.handle;
    CLEANUP(queuep) rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    CLEANUP(optionsp) rd_kafka_AdminOptions_t *options = request_options(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);

    if (!queue || !options || !resource)
        return err_memory(err, "kafka admin");
    rd_kafka_DescribeConfigs(handle, &resource, 1, options, queue);
    rd_kafka_ConfigResource_destroy(resource);

    CLEANUP(eventp) rd_kafka_event_t *event = answer(queue, topic, err);
    return event ? read_description(event, topic, asked, count, out, err) : -1;
}

static int read_creation(const rd_kafka_event_t *event, const char *topic, struct err *err)
{
    size_t count;
    const rd_kafka_topic_result_t **list = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)event), &count);
    rd_kafka_resp_err_t code = count == 1 ? rd_kafka_topic_result_error(list[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    const char *text = count == 1 ? rd_kafka_topic_result_error_string(list[0]) : NULL;

    if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return kafka_err(err, code, "kafka topic %s: %s", topic, text ? text : "not made");
}

static rd_kafka_NewTopic_t *new_topic(const char *topic, int partitions, int replicas, const struct wanted *settings,
                                      size_t count, struct err *err)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *fresh = rd_kafka_NewTopic_new(topic, partitions, replicas, why, sizeof why);

    if (!fresh)
        err_set(err, ERR_PERMANENT, "kafka topic %s: %s", topic, why);
    for (size_t i = 0; fresh && i < count; i++)
        rd_kafka_NewTopic_set_config(fresh, settings[i].name, settings[i].value);
    return fresh;
}

int admin_create(struct admin *admin, const char *topic, int partitions, int replicas, const struct wanted *settings,
                 size_t count, struct err *err)
{
    rd_kafka_t *handle = admin->client.handle;
    CLEANUP(queuep) rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    CLEANUP(optionsp) rd_kafka_AdminOptions_t *options = request_options(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *fresh = new_topic(topic, partitions, replicas, settings, count, err);

    if (!fresh)
        return -1;
    if (!queue || !options) {
        rd_kafka_NewTopic_destroy(fresh);
        return err_memory(err, "kafka admin");
    }
    rd_kafka_CreateTopics(handle, &fresh, 1, options, queue);
    rd_kafka_NewTopic_destroy(fresh);

    CLEANUP(eventp) rd_kafka_event_t *event = answer(queue, topic, err);
    return event ? read_creation(event, topic, err) : -1;
}
