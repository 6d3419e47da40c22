/* The table of commands, what is parsed by it, and what is generated from it. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/uuid.h"
#include "coordinator/cli/command.h"
#include "model/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses a line of words with blanks between. */
static int parse(const char *line, struct invocation *out, struct err *err)
{
    static char words[1024];
    static const char *argv[64];
    char *save = NULL;
    int argc = 1;

    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return invocation_parse(argc, argv, out, err);
}

static void accepts(const char *line, const char *json)
{
    struct invocation invocation;
    struct err err = {0};
    json_t *request = NULL;

    if (parse(line, &invocation, &err) < 0 || invocation_request(&invocation, &request, &err) < 0)
        fail_msg("%s: %s", line, err.text);
    char *text = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, json);
    free(text);
    json_decref(request);
}

static void refuses(const char *line, const char *why)
{
    struct invocation invocation;
    struct err err = {0};
    json_t *request = NULL;

    if (parse(line, &invocation, &err) == 0 && invocation_request(&invocation, &request, &err) == 0)
        fail_msg("%s is accepted", line);
    if (!strstr(err.text, why))
        fail_msg("%s: \"%s\", not \"%s\"", line, err.text, why);
}

static void options_become_params(void **state)
{
    (void)state;
    accepts(
        "snapshot create shop-1 --name before-deploy --quiesce require",
        "{\"op\":\"snapshot.create\",\"params\":{\"name\":\"before-deploy\",\"quiesce\":\"require\"},\"target\":\"shop-1\"}");
    accepts("snapshot create --quiesce shop-1",
            "{\"op\":\"snapshot.create\",\"params\":{\"quiesce\":\"require\"},\"target\":\"shop-1\"}");
    accepts("snapshot create shop-1 --quiesce=never --no-atomic",
            "{\"op\":\"snapshot.create\",\"params\":{\"atomic\":false,\"quiesce\":\"never\"},\"target\":\"shop-1\"}");
    accepts(
        "snapshot create shop-1 --diskspec vda,snapshot=external,file=/x,driver=qcow2 --diskspec vdb,snapshot=no --disk-only",
        "{\"op\":\"snapshot.create\",\"params\":{\"disk_only\":true,\"disks\":[{\"driver\":\"qcow2\",\"file\":\"/x\",\"mode\":\"external\",\"name\":\"vda\"},{\"mode\":\"no\",\"name\":\"vdb\"}]},\"target\":\"shop-1\"}");
    accepts(
        "snapshot create shop-1 --memspec file=/m,snapshot=external --live",
        "{\"op\":\"snapshot.create\",\"params\":{\"live\":true,\"memory\":\"file\",\"memory_file\":\"/m\"},\"target\":\"shop-1\"}");
    accepts(
        "snapshot revert shop-1 old --running --force --yes",
        "{\"op\":\"snapshot.revert\",\"params\":{\"after\":\"running\",\"force\":\"if_needed\",\"name\":\"old\"},\"target\":\"shop-1\"}");
    accepts(
        "snapshot revert shop-1 old --force if-needed --drop-checkpoint a,b --drop-checkpoint c",
        "{\"op\":\"snapshot.revert\",\"params\":{\"drop_checkpoint\":[\"a\",\"b\",\"c\"],\"force\":\"if_needed\",\"name\":\"old\"},\"target\":\"shop-1\"}");
    accepts(
        "snapshot delete shop-1 x --children --metadata",
        "{\"op\":\"snapshot.delete\",\"params\":{\"metadata_only\":true,\"name\":\"x\",\"scope\":\"children\"},\"target\":\"shop-1\"}");
    accepts(
        "backup create shop-1 --kind full --repository main --rate-limit 100MiB --include vda,vdb --dry-run --priority 8 --host alpha",
        "{\"dry_run\":true,\"host\":\"alpha\",\"op\":\"backup.create\",\"params\":{\"include\":[\"vda\",\"vdb\"],\"kind\":\"full\",\"rate_limit\":104857600,\"repository\":\"main\"},\"priority\":8,\"target\":\"shop-1\"}");
    accepts(
        "backup restore 5f1e --as copy --on beta --map-network a=b --start running --keep-identity",
        "{\"host\":\"beta\",\"op\":\"backup.restore\",\"params\":{\"map_network\":{\"a\":\"b\"},\"new_identity\":false,\"new_name\":\"copy\",\"point\":\"5f1e\",\"start\":\"running\"}}");
    accepts(
        "backup restore 5f1e --as copy --disk-file vda=/a/b.img --map-pool fast=/ssd --map-pool /old=slow --map-machine pc=q35",
        "{\"op\":\"backup.restore\",\"params\":{\"disk_files\":{\"vda\":\"/a/b.img\"},\"map_machine\":{\"pc\":\"q35\"},\"map_pool\":{\"/old\":\"slow\",\"fast\":\"/ssd\"},\"new_name\":\"copy\",\"point\":\"5f1e\"}}");
    accepts("backup restore shop-1 --at latest --as x",
            "{\"op\":\"backup.restore\",\"params\":{\"at\":\"latest\",\"new_name\":\"x\",\"point\":\"shop-1\"}}");
    accepts("backup verify 5f1e --depth image",
            "{\"op\":\"backup.verify\",\"params\":{\"depth\":\"image\",\"point\":\"5f1e\"}}");
    accepts(
        "target retire shop-1 --snapshots keep-metadata --backups delete --repository main --really-last --foreign",
        "{\"op\":\"target.retire\",\"params\":{\"backups\":\"delete\",\"foreign\":true,\"really_last\":true,\"repository\":\"main\",\"snapshots\":\"keep_metadata\"},\"target\":\"shop-1\"}");
    accepts(
        "target export shop-1 --socket /run/a --kind incremental --parent 0d9b --disk vda --idle-timeout 10m --scratch-limit 1GiB --detach",
        "{\"op\":\"target.export\",\"params\":{\"idle_timeout_ms\":600000,\"include\":[\"vda\"],\"kind\":\"incremental\",\"parent\":\"0d9b\",\"scratch_limit\":1073741824,\"socket\":\"/run/a\"},\"target\":\"shop-1\"}");
    accepts(
        "target export shop-1 --address 10.0.0.5:10809 --tls --quiesce",
        "{\"op\":\"target.export\",\"params\":{\"address\":\"10.0.0.5:10809\",\"quiesce\":\"require\",\"tls\":true},\"target\":\"shop-1\"}");
    accepts("target export-finish shop-1 --how cancel",
            "{\"op\":\"target.export_finish\",\"params\":{\"how\":\"cancel\"},\"target\":\"shop-1\"}");
    accepts("-v snapshot --json create -- -odd-", "{\"op\":\"snapshot.create\",\"params\":{},\"target\":\"-odd-\"}");
}

static void mistakes_say_what_was_meant(void **state)
{
    (void)state;
    refuses("snapshot create shop-1 --running", "unknown option --running (it belongs to snapshot revert)");
    refuses("snapshot create shop-1 --nmae x", "Did you mean --name?");
    refuses("snapshot create shop-1 --colour", "unknown option --colour");
    refuses("snapshot create", "TARGET is missing");
    refuses("snapshot create a b", "\"b\" is one argument too many");
    refuses("snapshot create shop-1 --name", "--name needs a value: NAME");
    refuses("snapshot create shop-1 --halt=yes", "--halt takes no value");
    refuses("snapshot create shop-1 --kind big", "--kind: \"big\" is none of auto|internal|external");
    refuses("snapshot create shop-1 --quiesce=maybe", "is none of");
    refuses("snapshot create shop-1 --diskspec snapshot=no", "does not begin with a disk");
    refuses("snapshot create shop-1 --diskspec vda,colour=red", "is none of snapshot=");
    refuses("snapshot create shop-1 --ttl soon", "--ttl");
    refuses("snapshot create shop-1 --redefine /nowhere", "cannot read /nowhere");
    refuses("snapshot revert shop-1 x --running --paused", "exclude each other");
    refuses("snapshot delete shop-1 x --children --children-only", "exclude each other");
    refuses("snapshot create shop-1 --atomic --no-atomic", "--no-atomic and its opposite exclude each other");
    refuses("backup create shop-1 --rate-limit much", "--rate-limit");
    refuses("backup restore x --map-network a", "is not KEY=VALUE");
    refuses("backup restore x --at soon", "--at");
    refuses("snapshot -x create a", "unknown option -x");
    refuses("snaphot list", "Did you mean snapshot?");
    refuses("snapshot lits a", "Did you mean list?");
    refuses("snapshot", "say what: create, list");
    refuses("frobnicate", "no command \"frobnicate\"");
}

static void plurals_are_lists(void **state)
{
    static const char *const lines[][2] = {
        {"targets", "target"}, {"hosts", "host"},   {"jobs --open", "job"},        {"snapshots shop-1", "snapshot"},
        {"backups", "backup"}, {"tokens", "token"}, {"repositories", "repository"}};
    struct invocation invocation;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(parse(lines[i][0], &invocation, &err), 0);
        assert_string_equal(invocation.command->noun, lines[i][1]);
        assert_string_equal(invocation.command->verb, "list");
    }
}

static void the_last_value_counts_and_selectors_replace_the_target(void **state)
{
    struct invocation invocation;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse("snapshot revert -l app=shop before", &invocation, &err), 0);
    assert_string_equal(invocation_argument(&invocation, "NAME"), "before");
    assert_null(invocation_argument(&invocation, "TARGET"));
    assert_string_equal(invocation_value(&invocation, "selector"), "app=shop");
    assert_int_equal(parse("targets --host a --host b", &invocation, &err), 0);
    assert_string_equal(invocation_value(&invocation, "host"), "b");
}

/* ---- rows ---- */

static const struct field *field_named(const struct record_type *type, const char *name)
{
    for (const struct field *field = type->fields; field->name; field++)
        if (strcmp(field->name, name) == 0)
            return field;
    return NULL;
}

static bool is_word_of(const struct field *field, const char *choice, size_t len)
{
    char word[64];

    snprintf(word, sizeof word, "%.*s", (int)len, choice);
    for (char *c = word; *c; c++)
        *c = *c == '-' ? '_' : *c;
    return name_index(field->names, word) >= 0;
}

/* The row's words are words of the record, so that no help promises what is refused. */
static void check_choices(const struct command *command, const struct option_row *row, const struct field *field)
{
    if (row->set && field->type == FIELD_ENUM && !is_word_of(field, row->set, strlen(row->set)))
        fail_msg("%s %s --%s sets \"%s\"", command->noun, command->verb, row->name, row->set);
    for (const char *at = row->kind == OPT_CHOICE ? row->choices : NULL; at && *at;) {
        size_t len = strcspn(at, "|");
        if (!is_word_of(field, at, len))
            fail_msg("%s %s --%s: %.*s", command->noun, command->verb, row->name, (int)len, at);
        at += len + (at[len] == '|');
    }
}

static void rows_fit_the_records_of_their_operation(void **state)
{
    const struct command *command;

    (void)state;
    for (size_t i = 0; (command = command_at(i)); i++) {
        if (!command->op)
            continue;
        enum op op = op_from_name(command->op);
        assert_int_not_equal(op, OP_NONE);
        for (const struct option_row *row = command->options; row && row->name; row++) {
            if (!row->param || strcmp(row->param, "at") == 0) /* the API turns it into a point */
                continue;
            const struct field *field = field_named(op_info(op)->params, row->param);
            if (!field)
                fail_msg("%s --%s: no parameter %s", command->op, row->name, row->param);
            check_choices(command, row, field);
        }
    }
}

static void every_command_has_help_and_examples_that_parse(void **state)
{
    const struct command *command;
    struct invocation invocation;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; (command = command_at(i)); i++) {
        assert_non_null(command->run);
        assert_true(*command->doc);
        assert_true(command->examples[0] || (command->flags & COMMAND_HIDDEN));
        for (size_t e = 0; e < EXAMPLES && command->examples[e]; e++) {
            char line[200];
            snprintf(line, sizeof line, "%s", command->examples[e]);
            for (char *quote = strchr(line, '\''); quote; quote = strchr(quote + 1, '\'')) { /* 'a b' is one word */
                char *end = strchr(quote + 1, '\'');
                for (char *c = quote; end && c < end; c++)
                    *c = *c == ' ' ? '_' : *c;
                quote = end;
            }
            line[strcspn(line, ">")] = '\0';
            if (parse(line, &invocation, &err) < 0)
                fail_msg("%s: %s", command->examples[e], err.text);
            if (invocation.command != command)
                fail_msg("%s is another command", command->examples[e]);
        }
    }
}

/* Examples are typed, not read: they may be longer. */
static void check_width(const char *text)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), columns = 0;
        for (size_t i = 0; i < len; i++)
            columns += ((unsigned char)line[i] & 0xc0) != 0x80;
        if (columns > 80 && !strstr(line, "  fleetsnap "))
            fail_msg("%zu columns: %.*s", columns, (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static void help_fits_80_columns(void **state)
{
    const struct command *command;
    char *text = NULL;
    size_t len;

    (void)state;
    for (size_t i = 0; (command = command_at(i)); i++) {
        struct cli cli = {.out = open_memstream(&text, &len), .err = stderr};
        help_command(&cli, command);
        help_noun(cli.out, command->noun);
        fclose(cli.out);
        check_width(text);
        free(text);
    }
    const char *const words[] = {"fleetsnap", "help", "topics"};
    struct cli cli = {.out = open_memstream(&text, &len), .err = stderr};
    assert_int_equal(cli_main(&cli, 3, words), EXIT_DONE);
    help_all(cli.out);
    fclose(cli.out);
    cli_close(&cli);
    check_width(text);
    free(text);
}

static void no_two_options_of_a_command_share_a_name(void **state)
{
    const struct command *command;
    const struct option_row *one, *other;

    (void)state;
    for (size_t i = 0; (command = command_at(i)); i++)
        for (size_t a = 0; (one = command_option(command, a)); a++)
            for (size_t b = a + 1; (other = command_option(command, b)); b++)
                if (strcmp(one->name, other->name) == 0 || (one->letter && one->letter == other->letter))
                    fail_msg("%s %s: --%s twice", command->noun, command->verb, one->name);
}

/* ---- generated ---- */

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 256 * 1024);

    assert_non_null(file);
    text[fread(text, 1, 256 * 1024 - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void the_manual_follows_from_the_tables(void **state)
{
    static const char path[] = SOURCE_DIR "/docs/man/fleetsnap.1", begin[] = ".SH OPTIONS OF EVERY COMMAND\n",
                      end[] = ".SH EXIT STATUS\n";
    CLEANUP(freep) char *page = read_all(path), *generated = NULL;
    size_t len;
    FILE *out = open_memstream(&generated, &len);

    (void)state;
    man_options(out);
    fclose(out);
    char *first = strstr(page, begin), *last = strstr(page, end);
    assert_true(first && last && first < last);
    if (getenv("FLEETSNAP_UPDATE")) {
        FILE *file = fopen(path, "w");
        fprintf(file, "%.*s%s%s", (int)(first - page), page, generated, last);
        fclose(file);
        return;
    }
    if (strlen(generated) != (size_t)(last - first) || strncmp(generated, first, len) != 0)
        fail_msg("docs/man/fleetsnap.1 is old: FLEETSNAP_UPDATE=1 test_cli_commands writes it");
}

static void the_completion_is_the_installed_file(void **state)
{
    CLEANUP(freep) char *file = read_all(SOURCE_DIR "/coordinator/cli/completion.bash"), *printed = NULL;
    const char *const argv[] = {"fleetsnap", "completion", "bash"};
    struct cli cli = {0};
    size_t len;

    (void)state;
    cli.out = open_memstream(&printed, &len);
    cli.err = stderr;
    assert_int_equal(cli_main(&cli, 3, argv), 0);
    fclose(cli.out);
    cli_close(&cli);
    assert_string_equal(printed, file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_become_params),
        cmocka_unit_test(mistakes_say_what_was_meant),
        cmocka_unit_test(plurals_are_lists),
        cmocka_unit_test(the_last_value_counts_and_selectors_replace_the_target),
        cmocka_unit_test(rows_fit_the_records_of_their_operation),
        cmocka_unit_test(every_command_has_help_and_examples_that_parse),
        cmocka_unit_test(help_fits_80_columns),
        cmocka_unit_test(no_two_options_of_a_command_share_a_name),
        cmocka_unit_test(the_manual_follows_from_the_tables),
        cmocka_unit_test(the_completion_is_the_installed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
