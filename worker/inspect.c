#include "worker/inspect.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "worker/begun.h"
#include "worker/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { JOBS_MAX = 1000, ANSWER_MS = 5000 };

struct description {
    struct journal *journal;
    bool json;
    struct text *out;
    size_t jobs;
    char *begun; /* of which jobs nothing was said since they began (begun.h) */
};

static void add_number(struct facts *facts, const char *name, int64_t value)
{
    if (value)
        facts_set_int(facts, name, value, NULL);
}

static void add_text(struct facts *facts, const char *name, const char *value)
{
    if (value)
        facts_set(facts, name, value, NULL);
}

static void add_time(struct facts *facts, const char *name, int64_t ms)
{
    char text[40];

    if (ms)
        facts_set(facts, name, format_rfc3339(ms, text, sizeof text), NULL);
}

static int describe_plan(struct journal *journal, int64_t row, struct facts *facts, struct err *err)
{
    CLEANUP(freep) char *plan = NULL;
    CLEANUP(freep) char *steps = NULL;

    if (journal_describe_plan(journal, row, &plan, &steps, err) < 0)
        return -1;
    add_text(facts, "plan", plan);
    if (plan)
        add_text(facts, "steps", steps);
    return 0;
}

static int write_job(struct description *description, const struct facts *facts, struct err *err)
{
    CLEANUP(freep) char *json = NULL;

    if (!description->json) {
        text_addf(description->out, "job %s\n", facts_get(facts, "job"));
        for (size_t i = 0; i < facts->count; i++)
            if (strcmp(facts->items[i].key, "job") != 0)
                text_addf(description->out, "  %-12s %s\n", facts->items[i].key, facts->items[i].value);
        return 0;
    }
    if (facts_to_json(facts, &json, err) < 0)
        return -1;
    text_addf(description->out, "%s\n    %s", description->jobs > 1 ? "," : "", json);
    return 0;
}

static enum job_state state_of(const struct description *description, const struct inbox_row *row)
{
    return row->state == STATE_ACCEPTED && begun_names(description->begun, row->row) ? STATE_RUNNING
                                                                                     : (enum job_state)row->state;
}

static int describe_job(void *context, const struct inbox_row *row, struct err *err)
{
    struct description *description = context;
    struct facts facts = {0};

    if (++description->jobs > JOBS_MAX)
        return 0;
    add_text(&facts, "job", row->job_id);
    add_text(&facts, "target", row->target);
    add_text(&facts, "state", job_state_names[state_of(description, row)]);
    add_text(&facts, "waiting", row->waiting);
    add_number(&facts, "attempt", row->attempt);
    add_number(&facts, "crashes", row->crashes);
    add_number(&facts, "token", row->token);
    add_time(&facts, "accepted", row->accepted_at_ms);
    add_time(&facts, "not_before", row->not_before_ms);
    add_text(&facts, "redis", job_state_terminal(row->state) && !row->finished ? "not told of the end yet" : NULL);
    int failed = describe_plan(description->journal, row->row, &facts, err);
    if (!failed)
        failed = write_job(description, &facts, err);
    facts_clear(&facts);
    return failed;
}

static int count_row(void *context, const struct outbox_row *row, struct err *err)
{
    (void)row;
    (void)err;
    ++*(int64_t *)context;
    return 0;
}

static int describe_head(struct description *description, bool live, struct err *err)
{
    struct journal *journal = description->journal;
    struct position position;
    int64_t open_jobs, ended, outbox = 0;

    if (position_read(journal, topic_table[TOPIC_JOBS].name, &position, err) < 0 ||
        inbox_count(journal, &open_jobs, &ended, err) < 0 || outbox_rows(journal, count_row, &outbox, err) < 0)
        return -1;
    text_addf(
        description->out,
        description->json
            ? "{\n  \"live\": %s,\n  \"journal\": \"%s\",\n  \"cluster\": \"%s\",\n  \"partition\": %d,\n  \"next_offset\": %" PRId64
              ",\n  \"outbox\": %" PRId64 ",\n  \"open\": %" PRId64 ",\n  \"ended\": %" PRId64 ",\n  \"jobs\": ["
            : "worker %s\njournal %s\nposition cluster %s, partition %d, next offset %" PRId64 "\noutbox %" PRId64
              " records not acknowledged\njobs %" PRId64 " in custody, %" PRId64 " ended ones remembered\n",
        description->json ? (live ? "true" : "false") : (live ? "live" : "not running"), journal_id(journal),
        position.cluster, (int)position.partition, position.next_offset, outbox, open_jobs, ended);
    return 0;
}

static int describe(struct journal *journal, bool json, bool live, struct text *out, struct err *err)
{
    CLEANUP(freep) char *begun = NULL;

    if (journal_fact(journal, begun_fact, &begun, err) < 0)
        return -1;
    struct description description = {journal, json, out, 0, begun};
    if (describe_head(&description, live, err) < 0 || inbox_each_open(journal, describe_job, &description, err) < 0)
        return -1;
    if (json)
        text_addf(out, "%s]\n}\n", description.jobs ? "\n  " : "");
    else if (description.jobs > JOBS_MAX)
        text_addf(out, "… and %zu more\n", description.jobs - JOBS_MAX);
    return 0;
}

/* ---- the worker's side ---- */

struct inspector {
    struct journal *journal;
    char path[108];
    int listener, asker; /* asker -1: nobody */
    struct text answer;
    size_t sent;
};

static int address_of(const char *directory, struct sockaddr_un *out, struct err *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((size_t)snprintf(out->sun_path, sizeof out->sun_path, "%s/inspect.sock", directory) >= sizeof out->sun_path)
        return err_set(err, ERR_PERMANENT, "%s: too long a path for a socket", directory);
    return 0;
}

int inspector_open(const char *directory, struct journal *journal, struct inspector **out, struct err *err)
{
    struct sockaddr_un address;
    struct inspector *inspector = calloc(1, sizeof *inspector);

    if (!inspector)
        return err_memory(err, "inspect");
    *inspector = (struct inspector){
        .journal = journal, .asker = -1, .listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (inspector->listener < 0 || address_of(directory, &address, err) < 0) {
        inspector_close(inspector);
        return -1;
    }
    memcpy(inspector->path, address.sun_path, sizeof inspector->path);
    unlink(inspector->path); /* of a dead worker: the directory is locked by us */
    if (bind(inspector->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(inspector->listener, 4) < 0) {
        err_errno(err, errno, inspector->path);
        inspector_close(inspector);
        return -1;
    }
    *out = inspector;
    return 0;
}

void inspector_close(struct inspector *inspector)
{
    if (!inspector)
        return;
    if (inspector->asker >= 0)
        close(inspector->asker);
    if (inspector->listener >= 0)
        close(inspector->listener);
    if (inspector->path[0])
        unlink(inspector->path);
    text_free(&inspector->answer);
    free(inspector);
}

int inspector_fd(const struct inspector *inspector)
{
    return inspector->asker >= 0 ? inspector->asker : inspector->listener;
}

short inspector_events(const struct inspector *inspector)
{
    return inspector->asker >= 0 && inspector->answer.len ? POLLOUT : POLLIN;
}

static void end_answer(struct inspector *inspector)
{
    close(inspector->asker);
    inspector->asker = -1;
    inspector->sent = 0;
    text_clear(&inspector->answer);
}

static void read_question(struct inspector *inspector)
{
    char word[8] = "";
    struct err err;

    if (recv(inspector->asker, word, sizeof word - 1, 0) <= 0)
        end_answer(inspector);
    else if (describe(inspector->journal, strncmp(word, "json", 4) == 0, true, &inspector->answer, &err) < 0)
        end_answer(inspector);
}

static void send_answer(struct inspector *inspector)
{
    ssize_t sent = send(inspector->asker, text_str(&inspector->answer) + inspector->sent,
                        inspector->answer.len - inspector->sent, MSG_NOSIGNAL);

    if (sent > 0)
        inspector->sent += (size_t)sent;
    if (inspector->sent == inspector->answer.len || (sent < 0 && errno != EAGAIN))
        end_answer(inspector);
}

void inspector_serve(struct inspector *inspector)
{
    if (inspector->asker < 0)
        inspector->asker = accept4(inspector->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    else if (inspector->answer.len)
        send_answer(inspector);
    else
        read_question(inspector);
}

/* ---- the command's side ---- */

/* 1: nobody listens. */
static int ask_live(const char *directory, bool json, struct err *err)
{
    CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    char data[4096];
    ssize_t got;

    if (fd < 0 || address_of(directory, &address, err) < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 1;
    struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd, json ? "json" : "text", 4, MSG_NOSIGNAL) != 4)
        return err_errno(err, errno, "inspect");
    while ((got = recv(fd, data, sizeof data, 0)) > 0)
        fwrite(data, 1, (size_t)got, stdout);
    return got < 0 ? err_errno(err, errno, "inspect: the worker does not answer") : 0;
}

int inspect(const char *directory, bool json, struct err *err)
{
    struct journal *journal;
    struct text out = {0};
    int asked = ask_live(directory, json, err);

    if (asked <= 0)
        return asked;
    if (journal_open_to_read(directory, &journal, err) < 0)
        return -1;
    int failed = describe(journal, json, false, &out, err);
    fputs(text_str(&out), stdout);
    text_free(&out);
    journal_close(journal);
    return failed;
}
