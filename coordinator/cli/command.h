#pragma once
/* Commands as rows: one row says name, arguments, options, help. New command: one row in commands_*.c, one function. */
#include "coordinator/cli/cli.h"

enum option_kind {
    OPT_FLAG,
    OPT_TEXT,
    OPT_INT,
    OPT_SIZE,     /* "512MiB" → bytes */
    OPT_DURATION, /* "24h" → ms */
    OPT_TIME,     /* "2026-11-20 14:02" → RFC 3339 */
    OPT_CHOICE,
    OPT_LIST,     /* "a,b", may be repeated */
    OPT_MAP,      /* KEY=VALUE, may be repeated */
    OPT_FILE,     /* the content of a file */
    OPT_DISKSPEC, /* vda,snapshot=external,file=/x,driver=qcow2; may be repeated */
    OPT_MEMSPEC,  /* file=/x,snapshot=external */
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    const char *value;   /* "NAME" in help; flags: NULL */
    const char *choices; /* CHOICE: "a|b|c" */
    const char *implied; /* the value when none follows; NULL: one must follow */
    const char *param;   /* member of the job's params that it sets; NULL: the command reads it itself */
    const char *set;     /* FLAG: the text that it sets; NULL: true, "false": false */
    const char *doc;
    bool virsh; /* spelt as in virsh; listed apart */
};

struct argument_row {
    const char *name;  /* "TARGET" */
    const char *param; /* "target": of the request; others: of params; NULL: the command reads it itself */
    bool optional, many;
    const char *complete; /* targets, snapshots, points, jobs, hosts, repositories, tokens; NULL: nothing */
};

enum command_flags {
    COMMAND_CHANGES = 1,  /* --request-id --reason */
    COMMAND_JOB = 2,      /* --dry-run --no-wait --host --priority --deadline --not-before */
    COMMAND_DESTROYS = 4, /* --yes, and a question */
    COMMAND_MANY = 8,     /* -l SELECTOR */
    COMMAND_LIST = 16,    /* the plural of the noun means it */
    COMMAND_HIDDEN = 32,
    COMMAND_DRY = 64, /* --dry-run, handled by the command itself */
};

struct invocation;
typedef int command_run(struct cli *cli, const struct invocation *invocation);

enum { ARGUMENT_ROWS = 3, EXAMPLES = 5 };

struct command {
    const char *noun, *verb; /* verb "": the noun alone */
    const char *op;          /* of the job that it starts */
    int flags;
    struct argument_row arguments[ARGUMENT_ROWS];
    const struct option_row *options; /* ends with name NULL */
    command_run *run;
    const char *doc;
    const char *examples[EXAMPLES];
};

extern const struct command *const command_tables[]; /* NULL-terminated list of tables, each ends with noun NULL */
extern const struct option_row options_everywhere[], options_changes[], options_job[], options_destroys[],
    options_many[], options_dry[];

/* Walks all commands: *index starts at 0. NULL at the end. */
const struct command *command_at(size_t index);
const struct command *command_find(const char *noun, const char *verb);
const struct command *command_of_word(const char *word); /* "doctor", "targets"; NULL: it needs another word, or is none */
/* All option rows of a command, its own first. NULL at the end. */
const struct option_row *command_option(const struct command *command, size_t index);
const struct option_row *command_option_named(const struct command *command, const char *name);
char *command_name(const struct command *command, char *out, size_t size); /* "snapshot create" */

/* ---- what was typed ---- */

enum { INVOCATION_VALUES = 256, INVOCATION_ARGUMENTS = 64 };

struct invocation {
    const struct command *command;
    struct {
        const struct option_row *row;
        const char *value; /* FLAG: NULL */
    } values[INVOCATION_VALUES];
    size_t value_count;
    const char *arguments[INVOCATION_ARGUMENTS];
    size_t argument_count;
};

/* Fills it from the words behind the program's name. ERR_PERMANENT: what is wrong, with the way out as hint. The words outlive the invocation. */
int invocation_parse(int argc, const char *const argv[], struct invocation *out, struct err *err);
bool invocation_has(const struct invocation *invocation, const char *option);
const char *invocation_value(const struct invocation *invocation, const char *option);  /* the last; NULL: not given */
const char *invocation_argument(const struct invocation *invocation, const char *name); /* NULL: not given */
/* The request of a job: op, target, params and the rest of what was typed. Caller decrefs. */
int invocation_request(const struct invocation *invocation, json_t **out, struct err *err);

/* ---- help.c, man.c, complete.c ---- */

int help_command(struct cli *cli, const struct command *command);
int help_all(FILE *out);
int help_noun(FILE *out, const char *noun);                                  /* -1: no such noun */
void help_option_name(const struct option_row *row, char *out, size_t size); /* "-l, --selector SELECTOR" */
void man_options(FILE *out); /* the part of docs/man/fleetsnap.1 that follows from the tables */
command_run run_help, run_completion, run_complete, run_version;
