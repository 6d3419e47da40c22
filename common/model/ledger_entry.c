#include "model/ledger_entry.h"

#include "model/fields.h"

const char *const ledger_kind_names[] = {"term", "epoch",   "job",    "key", "token", "repository", "host",   "hold",
                                         "pin",  "default", "policy", "run", "marks", "deploy",     "notice", NULL};

static const struct field ledger_job_fields[] = {
    RECORD(ledger_job, job, job_record),
    TIME(ledger_job, prepared_at, OPTIONAL),
    TIME(ledger_job, published_at, OPTIONAL),
    INT(ledger_job, partition, OPTIONAL, .fallback = -1),
    INT(ledger_job, offset, OPTIONAL, .fallback = -1),
    STRING(ledger_job, cancel, OPTIONAL),
    STRING(ledger_job, resolve, OPTIONAL),
    STRING(ledger_job, outcome, OPTIONAL, .max = 32),
    TIME(ledger_job, ended_at, OPTIONAL),
    INT(ledger_job, rate_limit, OPTIONAL),
    STRING(ledger_job, finish, OPTIONAL, .max = 32),
    {0},
};
const struct record_type ledger_job_record = {"ledger_job", sizeof(struct ledger_job), ledger_job_fields};

static const struct field ledger_mark_fields[] = {
    STRING(ledger_mark, job, .max = 36),
    TIME(ledger_mark, at),
    INT(ledger_mark, partition, OPTIONAL, .fallback = -1),
    INT(ledger_mark, offset, OPTIONAL, .fallback = -1),
    STRING(ledger_mark, outcome, OPTIONAL, .max = 32),
    STRING(ledger_mark, why, OPTIONAL),
    {0},
};
const struct record_type ledger_mark_record = {"ledger_mark", sizeof(struct ledger_mark), ledger_mark_fields};

static const struct field ledger_key_fields[] = {
    STRING(ledger_key, host, .max = 63),
    INT(ledger_key, generation),
    TIME(ledger_key, created_at),
    TIME(ledger_key, ended_at, OPTIONAL),
    {0},
};
const struct record_type ledger_key_record = {"ledger_key", sizeof(struct ledger_key), ledger_key_fields};

static const struct field ledger_token_fields[] = {
    STRING(ledger_token, name, .max = 128),
    STRING(ledger_token, hash, .max = 128),
    STRING(ledger_token, role, .max = 32),
    STRING(ledger_token, selector, OPTIONAL),
    STRING(ledger_token, classes, .max = 3),
    TIME(ledger_token, created_at),
    TIME(ledger_token, expires_at, OPTIONAL),
    STRING(ledger_token, sealed, OPTIONAL),
    {0},
};
const struct record_type ledger_token_record = {"ledger_token", sizeof(struct ledger_token), ledger_token_fields};

static const struct field ledger_repository_fields[] = {
    STRING(ledger_repository, name, .max = 128),
    STRING(ledger_repository, path),
    STRING(ledger_repository, host, .max = 63),
    STRING(ledger_repository, job, OPTIONAL, .max = 36),
    {0},
};
const struct record_type ledger_repository_record = {"ledger_repository", sizeof(struct ledger_repository),
                                                     ledger_repository_fields};

static const struct field ledger_host_fields[] = {
    STRING(ledger_host, state, .max = 32),
    TIME(ledger_host, since, OPTIONAL),
    {0},
};
const struct record_type ledger_host_record = {"ledger_host", sizeof(struct ledger_host), ledger_host_fields};

static const struct field ledger_policy_fields[] = {
    EMBEDDED(ledger_policy, policy, policy_record),
    INT(ledger_policy, version),
    TIME(ledger_policy, since),
    BOOL(ledger_policy, paused, OPTIONAL),
    STRING(ledger_policy, source, .max = 64 * 1024),
    {0},
};
const struct record_type ledger_policy_record = {"ledger_policy", sizeof(struct ledger_policy), ledger_policy_fields};

static const struct field ledger_entry_fields[] = {
    ENUM(ledger_entry, kind, ledger_kind_names),
    STRING(ledger_entry, id, .max = 512),
    INT(ledger_entry, term),
    INT(ledger_entry, n),
    TIME(ledger_entry, at),
    STRING(ledger_entry, who, OPTIONAL, .max = 256),
    STRING(ledger_entry, why, OPTIONAL),
    BOOL(ledger_entry, gone, OPTIONAL),
    STRING(ledger_entry, nonce, OPTIONAL, .max = 128),
    INT(ledger_entry, epoch, OPTIONAL),
    STRING(ledger_entry, run_id, OPTIONAL, .max = 128),
    RECORD(ledger_entry, job, ledger_job_record, OPTIONAL),
    RECORD(ledger_entry, key, ledger_key_record, OPTIONAL),
    RECORD(ledger_entry, token, ledger_token_record, OPTIONAL),
    RECORD(ledger_entry, repository, ledger_repository_record, OPTIONAL),
    RECORD(ledger_entry, host, ledger_host_record, OPTIONAL),
    MAP(ledger_entry, values, OPTIONAL),
    RECORDS(ledger_entry, marks, ledger_mark_record, OPTIONAL, .max = LEDGER_MARKS_MAX),
    RECORD(ledger_entry, policy, ledger_policy_record, OPTIONAL),
    RECORD(ledger_entry, run, run_record, OPTIONAL),
    RECORD(ledger_entry, members, run_members_record, OPTIONAL),
    RECORD(ledger_entry, deploy, deploy_record, OPTIONAL),
    RECORD(ledger_entry, word, deploy_word_record, OPTIONAL),
    {0},
};
const struct record_type ledger_entry_record = {"ledger_entry", sizeof(struct ledger_entry), ledger_entry_fields};
