/* Lines for people, as they are drawn. */
#include "base/err.h"
#include "coordinator/cli/backup_xml.h"
#include "coordinator/cli/cli.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/table.h"
#include "coordinator/cli/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void tell(struct progress *progress, const char *json, int64_t now_ms)
{
    json_t *event = json_loads(json, 0, NULL);

    assert_non_null(event);
    progress_event(progress, event, now_ms);
    json_decref(event);
}

static void line_is(const struct progress *progress, int64_t now_ms, size_t width, const char *expected)
{
    struct text line = {0};

    progress_line(progress, now_ms, width, &line);
    assert_string_equal(text_str(&line), expected);
    text_free(&line);
}

static void plain_is(const struct progress *progress, int64_t now_ms, const char *expected)
{
    struct text line = {0};

    progress_plain(progress, now_ms, &line);
    assert_string_equal(text_str(&line), expected);
    text_free(&line);
}

static void a_push_has_bar_bytes_rate_and_time_left(void **state)
{
    struct progress progress;

    (void)state;
    progress_begin(&progress, "shop-1", "alpha", "backup.create", 1000);
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"origin\":\"worker\"}", 1000);
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":0,\"total\":1395864371,\"origin\":\"worker\"}",
         1000);
    tell(&progress,
         "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":851443712,\"total\":1395864371,\"origin\":\"worker\"}",
         3000);
    line_is(&progress, 3000, 120, "  push     ██████████░░░░░░░  60 %   812 MiB of 1.3 GiB   406 MiB/s   2 s left");
    line_is(&progress, 3000, 20, "  push     █████████");
    struct progress told = progress; /* its rate until now says nothing of what is left */
    tell(&told, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"rate_limit\":10485760}", 3000);
    plain_is(&told, 3000, "shop-1 on alpha: push, 60 %, 812 MiB of 1.3 GiB, at most 10 MiB/s");
    tell(&told,
         "{\"state\":\"RUNNING\",\"phase\":\"push\",\"rate_limit\":10485760,\"done\":861929472,\"total\":1395864371}",
         4000);
    plain_is(&told, 4000, "shop-1 on alpha: push, 61 %, 822 MiB of 1.3 GiB, 10 MiB/s, at most 10 MiB/s, 51 s left");
    tell(&told, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"rate_limit\":0}", 4000);
    plain_is(&told, 4000, "shop-1 on alpha: push, 61 %, 822 MiB of 1.3 GiB");
    plain_is(&progress, 3000, "shop-1 on alpha: push, 60 %, 812 MiB of 1.3 GiB, 406 MiB/s, 2 s left");
    assert_false(progress.terminal);
    tell(&progress, "{\"state\":\"SUCCEEDED\"}", 4000);
    assert_true(progress.terminal);
    progress_clear(&progress);
}

static void numbers_that_lie_do_no_harm(void **state)
{
    struct progress progress;

    (void)state;
    progress_begin(&progress, "x", "", "backup.create", 0);
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":9000,\"total\":1000}", 0);
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":-5,\"total\":1000}", 1000);
    tell(&progress,
         "{\"state\":\"RUNNING\",\"phase\":\"push\",\"done\":9223372036854775807,\"total\":9223372036854775807}", 2000);
    tell(&progress, "{\"state\":7,\"phase\":[],\"done\":\"x\"}", 3000);
    struct text line = {0};
    progress_line(&progress, 4000, 100, &line);
    assert_true(line.len > 0);
    text_free(&line);
    progress_clear(&progress);
}

static void a_class_c_step_that_began_is_noted(void **state)
{
    json_t *steps = json_loads("[{\"name\":\"check\",\"class\":\"A\"},{\"name\":\"stop\",\"class\":\"C\"}]", 0, NULL);
    struct progress progress;

    (void)state;
    progress_begin(&progress, "shop-1", "alpha", "snapshot.revert", 0);
    progress.steps = steps;
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"check\"}", 0);
    assert_false(progress.class_c_begun);
    tell(&progress, "{\"state\":\"RUNNING\",\"phase\":\"stop\"}", 0);
    assert_true(progress.class_c_begun);
    progress_clear(&progress);
    json_decref(steps);
}

static char *print_table(int width)
{
    static const struct table_column columns[] = {{"NAME", COLUMN_SHRINK}, {"SIZE", COLUMN_RIGHT}, {"", 0}};
    struct table table;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    table_init(&table, columns, 3);
    table_cell(&table, "größer als gedacht");
    table_cell(&table, "1.3 GiB");
    table_cell(&table, "");
    table_cell(&table, "b\x1b[31m\n");
    table_cellf(&table, "%d B", 7);
    table_cell(&table, "!");
    table_print(&table, out, width, false);
    table_free(&table);
    fclose(out);
    return text;
}

static void tables_align_cut_and_defuse(void **state)
{
    char *wide = print_table(0), *narrow = print_table(24);

    (void)state;
    assert_string_equal(wide,
                        "NAME                   SIZE\ngrößer als gedacht  1.3 GiB\nb?[31m?                 7 B  !\n");
    assert_string_equal(narrow, "NAME             SIZE\ngrößer als …  1.3 GiB\nb?[31m?           7 B  !\n");
    free(wide);
    free(narrow);
}

static void columns_are_left_out_before_names_are_cut(void **state)
{
    static const struct table_column columns[] = {
        {"NAME", COLUMN_SHRINK}, {"LEVEL", COLUMN_DROP}, {"SIZE", COLUMN_RIGHT}, {"BY", COLUMN_SHRINK | COLUMN_DROP}};
    static const struct {
        int width;
        const char *expected;
    } cases[] = {
        {40, "NAME             LEVEL   SIZE  BY\nbefore-deploy-1  crash  2 MiB  bootstrap\n"},
        {39, "NAME             LEVEL   SIZE\nbefore-deploy-1  crash  2 MiB\n"},
        {28, "NAME              SIZE\nbefore-deploy-1  2 MiB\n"},
        {20, "NAME            SIZE\nbefore-deplo…  2 MiB\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table table;
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        table_init(&table, columns, 4);
        table_cell(&table, "before-deploy-1");
        table_cell(&table, "crash");
        table_cell(&table, "2 MiB");
        table_cell(&table, "bootstrap");
        table_print(&table, out, cases[i].width, false);
        table_free(&table);
        fclose(out);
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
}

static void words_wrap(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    fputs("→ ", out);
    text_wrap(out, "größer als gedacht und-ein-sehr-langes-wort x", 2, 16);
    text_wrap(out, "nie  gebrochen, auch wenn es sehr lang ist", 0, 0);
    fclose(out);
    assert_string_equal(
        text, "→ größer als\n  gedacht\n  und-ein-sehr-langes-wort\n  x\nnie gebrochen, auch wenn es sehr lang ist\n");
    free(text);
}

static char *print_tree(const char *json)
{
    json_t *snapshots = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    tree_print(snapshots, true, out);
    fclose(out);
    json_decref(snapshots);
    return text;
}

static void trees_survive_what_cannot_be(void **state)
{
    char *loop = print_tree(
        "[{\"name\":\"a\",\"parent\":\"b\"},{\"name\":\"b\",\"parent\":\"a\"},{\"name\":\"c\",\"parent\":\"gone\"}]");
    char *none = print_tree("[]");

    (void)state;
    assert_string_equal(none, "base\n");
    assert_non_null(strstr(loop, "└─ c"));
    free(loop);
    free(none);
}

static void a_backup_is_libvirts_xml(void **state)
{
    json_t *point = json_loads(
        "{\"id\":\"5f1e\",\"created_at\":\"2026-11-20T14:02:00Z\",\"description\":\"a < b & \\\"c\\\"\",\"parent\":\"4d00\",\"folder\":\"/r/m/4d00/5f1e\",\"disks\":["
        "{\"name\":\"vda\",\"mode\":\"incremental\",\"file\":\"vda.qcow2\",\"format\":\"qcow2\"},{\"name\":\"vdb\",\"mode\":\"excluded\"}]}",
        0, NULL);
    char *xml = backup_xml_of(point);

    (void)state;
    assert_string_equal(xml, "<domainbackup mode=\"push\">\n"
                             "  <uuid>5f1e</uuid>\n"
                             "  <creationTime>1795183320</creationTime>\n"
                             "  <description>a &lt; b &amp; \"c\"</description>\n"
                             "  <parent>\n    <uuid>4d00</uuid>\n  </parent>\n"
                             "  <disks>\n"
                             "    <disk name=\"vda\" type=\"file\" backupmode=\"incremental\">\n"
                             "      <target file=\"/r/m/4d00/5f1e/vda.qcow2\"/>\n"
                             "      <driver type=\"qcow2\"/>\n"
                             "    </disk>\n"
                             "    <disk name=\"vdb\" backup=\"no\"/>\n"
                             "  </disks>\n"
                             "</domainbackup>");
    free(xml);
    json_decref(point);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_has_bar_bytes_rate_and_time_left),
        cmocka_unit_test(numbers_that_lie_do_no_harm),
        cmocka_unit_test(a_class_c_step_that_began_is_noted),
        cmocka_unit_test(tables_align_cut_and_defuse),
        cmocka_unit_test(columns_are_left_out_before_names_are_cut),
        cmocka_unit_test(words_wrap),
        cmocka_unit_test(a_backup_is_libvirts_xml),
        cmocka_unit_test(trees_survive_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
