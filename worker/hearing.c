#include "worker/hearing.h"

#include "base/err.h"
#include "base/log.h"
#include "worker/inventory_publisher.h"
#include "worker/job_source.h"
#include "worker/journal.h"
#include "worker/kafka_link.h"
#include "worker/keeper.h"
#include "worker/outbox.h"
#include "worker/pool.h"
#include "worker/surveyor.h"
#include "worker/teller.h"
#include "worker/verdict.h"
#include "worker/worker.h"

static int hear_save(struct worker *worker, struct save *save, struct err *err)
{
    struct work *work = save->work;

    save->message.item.next = (struct queue_item *)worker->saves;
    worker->saves = save;
    if (save->recovery_begins)
        return custody_recovery_begins(&worker->custody, work, err);
    if (work->silent_since_ms && custody_progress(&worker->custody, work, NULL, err) < 0) /* it is more than a look */
        return -1;
    if (!save->plan_json)
        return journal_save_steps(worker->journal, work->row, save->changes, save->count, err);
    work->journaled = true;
    return journal_save_plan(worker->journal, work->row, save->plan_json, err);
}

static int hear_ended(struct worker *worker, struct work *work, struct err *err)
{
    bool left;

    worker->running--;
    if (work->orphan) {
        custody_bury(&worker->custody, work);
        return 0;
    }
    return verdict_of(&worker->custody, &worker->admission, work, &left, err);
}

static int hear_holds(struct worker *worker, const struct holds_heard *heard, struct err *err)
{
    facts_clear(&worker->admission.holds);
    if (facts_from_json(&worker->admission.holds, heard->json, err) < 0)
        return -1;
    return journal_set_fact(worker->journal, "holds", heard->json, err);
}

/* A new way to Kafka. A consumer that was only doubted and has heard something meanwhile is kept. */
/* Kafka was lost, or the topic made anew: what the host has is said once more, at the next look. */
static int say_all_again(struct worker *worker, struct err *err)
{
    log_warning("kafka", "this is not where the host spoke before: it says all that it has once more");
    if (inventory_publisher_forget(worker->inventory, err) < 0)
        return -1;
    surveyor_wake(worker->surveyor);
    return 0;
}

static int hear_link(struct worker *worker, struct kafka_link *link, struct err *err)
{
    int result = link->anew ? say_all_again(worker, err) : 0;
    bool moved = job_source_ready(worker->source) &&
                 job_source_position(worker->source)->next_offset != worker->position_written;

    if (link->producer) {
        worker->producer = link->producer;
        link->producer = NULL;
        outbox_use(worker->outbox, worker->producer, link->status_partition);
        log_info("kafka", "connected: partition %d of %s, from offset %lld", (int)link->position.partition,
                 topic_table[TOPIC_JOBS].name, (long long)link->position.next_offset);
    }
    if (!moved) {
        job_source_use(worker->source, link->consumer, &link->position);
        link->consumer = NULL;
        worker->position_written = link->position.next_offset;
    }
    kafka_link_free(link);
    return result;
}

static int hear_message(struct worker *worker, struct message *message, struct err *err)
{
    struct word *word = (struct word *)message;
    int failed = 0;

    switch (message->kind) {
    case MESSAGE_ENDED: return hear_ended(worker, (struct work *)message, err);
    case MESSAGE_SAVE: return hear_save(worker, (struct save *)message, err);
    case MESSAGE_LINK: return hear_link(worker, (struct kafka_link *)message, err);
    case MESSAGE_INVENTORY:
        failed = inventory_publisher_take(worker->inventory, (struct survey *)message, err);
        survey_free((struct survey *)message);
        return failed;
    case MESSAGE_WORD: failed = word_heard(&worker->custody, word->job_id, word->cancel, word->control, err); break;
    case MESSAGE_HOLDS: failed = hear_holds(worker, (struct holds_heard *)message, err); break;
    }
    free(message);
    return failed;
}

int hear_threads(struct worker *worker, struct err *err)
{
    int failed = 0;

    for (struct queue_item *item = queue_take_all(worker->to_loop), *next; item; item = next) {
        next = item->next;
        if (hear_message(worker, (struct message *)item, err) < 0)
            failed = -1; /* the others are heard all the same: they are counted, or owned */
    }
    return failed;
}

int hear_redis(struct worker *worker, short events, struct err *err)
{
    worker->admission.err = err;
    worker->admission.failed = 0;
    redis_process(worker->redis, events);
    admission_watch_epoch(&worker->admission);
    return worker->admission.failed;
}

void hear_deliveries(struct worker *worker)
{
    if (!worker->producer)
        return;
    kafka_fd_clear(kafka_producer_fd(worker->producer));
    kafka_producer_poll(worker->producer, 0, outbox_delivered, worker->outbox);
    outbox_forget(worker->outbox);
}

static int hear_record(struct worker *worker, int index, struct err *err)
{
    const struct teller teller = {worker->wire, worker->outbox, worker->options->host, journal_id(worker->journal)};
    struct receipt receipt;

    job_source_read(worker->source, index, &receipt);
    if (receipt.kind == RECEIPT_FOREIGN)
        return 0;
    if (receipt.kind == RECEIPT_JOB)
        return custody_accept(&worker->custody, &receipt, err);
    log_warning("jobs", "offset %lld: %s; kept as a dead letter", (long long)receipt.record->offset, receipt.reason);
    return tell_dead_letter(&teller, receipt.record, receipt.reason, err);
}

/* The position points outside the topic: read again from where it still goes. */
static int relink(struct worker *worker, const struct err *why, struct err *err)
{
    log_warning("jobs", "%s; looked for again", why->text);
    struct position position = *job_source_position(worker->source);
    job_source_use(worker->source, NULL, NULL);
    return linker_busy(worker->linker) ? 0 : linker_begin(worker->linker, &position, false, err);
}

int hear_kafka(struct worker *worker, struct err *err)
{
    struct err why = {0};
    int failed = 0;
    int count = job_source_take(worker->source, &why);

    if (count < 0)
        return relink(worker, &why, err);
    for (int i = 0; i < count && !failed; i++)
        failed = hear_record(worker, i, err);
    return failed; /* released after the turn: the journal may still be bound to the records' memory */
}
