/*
 * Records are trusted by what the *main loop* has read of the ledger: it applies a job before it publishes it, so the leader always knows the job of an event. A standby
 * may lag; then the view asks for the ledger's end and waits until the main loop has come that far, before it says that a job is unknown. What is not believed goes to the
 * dead letters.
 */
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/internal.h"
#include "coordinator/view_internal.h"
#include "crypto/mac.h"
#include "kafka/kafka.h"
#include "model/topics.h"

#include <time.h>

enum { WAIT_LEDGER_MS = 10000, WATERMARK_MS = 5000, REFUSALS_LOGGED = 10 };

void view_sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

/* As long as the main loop reads on: a large ledger takes its time, and what is called a stranger's is not read again. */
void view_wait_for_ledger(struct view *view)
{
    const struct view_source *source = &view->options.source;
    int64_t low, position, seen = -1, until_ms = 0;

    if (view->ledger_high < 0 && kafka_watermarks(view->consumer, topic_table[TOPIC_LEDGER].name, 0, &low,
                                                  &view->ledger_high, WATERMARK_MS, NULL) < 0)
        return;
    while (!atomic_load(&view->stopping) && (position = source->position(source->context)) < view->ledger_high) {
        if (position != seen)
            until_ms = clock_monotonic_ms() + WAIT_LEDGER_MS;
        else if (clock_monotonic_ms() >= until_ms)
            return;
        seen = position;
        view_sleep_ms(5);
    }
}

void view_read_headers(const struct kafka_record *record, struct signed_record *out)
{
    out->record = record;
    out->mac = trust_input(record, &out->said);
}

static enum mac_verdict verify_once(struct view *view, const struct signed_record *record, const char *host,
                                    bool *out_enrolled)
{
    const struct key_ring *ring = trust_ring(view->trust, host);

    *out_enrolled = ring != NULL;
    if (!ring || !record->mac)
        return MAC_MALFORMED;
    return mac_verify(view->mac, ring, &record->said, record->mac, record->record->timestamp_ms);
}

bool view_verifies(struct view *view, const struct signed_record *record, const char *host, const char **out_why)
{
    bool enrolled;
    enum mac_verdict verdict = verify_once(view, record, host, &enrolled);

    if (!enrolled || verdict == MAC_UNKNOWN_GENERATION) {
        view_wait_for_ledger(view);
        verdict = verify_once(view, record, host, &enrolled);
    }
    *out_why = !enrolled ? "the host is not enrolled" : record->mac ? mac_verdict_text(verdict) : "no fs-mac";
    return enrolled && verdict == MAC_OK;
}

bool view_knows_job(struct view *view, const char *job_id, struct ledger_job_facts *out)
{
    const struct view_source *source = &view->options.source;

    if (source->job(source->context, job_id, out))
        return true;
    view_wait_for_ledger(view);
    return source->job(source->context, job_id, out);
}

/* Whoever can write to a topic could fill the log: a few lines a minute say enough, the DLQ has them all. */
static bool may_log(struct view *view)
{
    int64_t minute = clock_monotonic_ms() / 60000;

    if (minute != view->refused_minute && view->refused > REFUSALS_LOGGED)
        log_warning("view", "%lld more records were not believed", (long long)(view->refused - REFUSALS_LOGGED));
    if (minute != view->refused_minute)
        view->refused = 0;
    view->refused_minute = minute;
    return ++view->refused <= REFUSALS_LOGGED;
}

void view_refuse(struct view *view, const struct kafka_record *record, const char *why)
{
    struct dead_letter *letter = dead_letter_of(record, why, NULL);

    if (may_log(view))
        log_warning("view", "%s[%d]@%lld is not believed: %s", record->topic, record->partition,
                    (long long)record->offset, why);
    if (letter)
        view->options.source.dead_letter(view->options.source.context, letter);
}
