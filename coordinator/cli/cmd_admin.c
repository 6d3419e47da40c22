/* admin export and import: the document is the API's, a file of mode 0600. What is large goes in portions; all of it is checked before the first is taken in. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "coordinator/cli/call.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/show.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1024 * 1024 * 1024, PORTION_BYTES = 256 * 1024, PORTION_RECORDS = 200 };

int run_admin_export(struct cli *cli, const struct invocation *invocation)
{
    const char *file = invocation_argument(invocation, "FILE");
    CLEANUP(freep) char *text = NULL;
    json_t *document = NULL;
    struct err err = {0};

    int code = call_get(cli, "admin export", &document, "/v1/admin/export");
    if (code)
        return code;
    size_t count = json_array_size(json_object_get(document, "records"));
    text = json_dumps(document, JSON_INDENT(1));
    json_decref(document);
    if (!text)
        return cli_fail(cli, EXIT_FAILED, "admin export", NULL, "out of memory");
    if (file_write_atomic(file, text, strlen(text), 0600, &err) < 0)
        return cli_fail_err(cli, EXIT_FAILED, "admin export", &err);
    if (cli->json)
        fprintf(cli->out, "{\"file\": \"%s\", \"records\": %zu}\n", file, count);
    else
        fprintf(cli->out, "%s  %zu records. It holds hashes of tokens: keep it like a secret, beside master.key\n",
                file, count);
    return EXIT_DONE;
}

/* ---- import ---- */

static int load(struct cli *cli, const char *file, json_t **out)
{
    CLEANUP(freep) char *text = NULL;
    char full[PATH_MAX];
    json_error_t problem;
    struct err err = {0};
    size_t len;

    if (!realpath(file, full))
        return cli_fail(cli, EXIT_USAGE, "admin import", NULL, "cannot read %s", file);
    if (file_read(full, FILE_MAX, &text, &len, &err) < 0)
        return cli_fail_err(cli, EXIT_USAGE, "admin import", &err);
    *out = json_loadb(text, len, 0, &problem);
    if (json_is_object(*out) && json_is_array(json_object_get(*out, "records")))
        return 0;
    json_decref(*out);
    return cli_fail(cli, EXIT_USAGE, file, NULL, "%d:%d: is no export of Fleetsnap: %s", problem.line, problem.column,
                    *out ? "it has no records" : problem.text);
}

static void add_counts(json_t *sum, const json_t *kinds)
{
    const char *kind;
    json_t *counts;

    json_object_foreach((json_t *)kinds, kind, counts)
    {
        json_t *known = json_object_get(sum, kind);
        if (!known) {
            json_object_set(sum, kind, counts);
            continue;
        }
        json_object_set_new(known, "added", json_integer(member_int(known, "added") + member_int(counts, "added")));
        json_object_set_new(known, "there", json_integer(member_int(known, "there") + member_int(counts, "there")));
    }
}

/* The next portion of the records, from *at on. */
static json_t *portion_of(const json_t *records, size_t *at)
{
    json_t *portion = json_array();

    for (size_t bytes = 0;
         *at < json_array_size(records) && bytes < PORTION_BYTES && json_array_size(portion) < PORTION_RECORDS; (*at)++) {
        json_t *record = json_array_get(records, *at);
        bytes += json_dumpb(record, NULL, 0, JSON_COMPACT);
        json_array_append(portion, record);
    }
    return portion;
}

/* One pass over all; *sum: {epoch, kinds}. The epoch goes with the first. */
static int pass(struct cli *cli, const json_t *document, bool dry_run, json_t *sum)
{
    const json_t *records = json_object_get(document, "records");
    size_t at = 0;

    do {
        json_t *epoch = at ? NULL : json_object_get(document, "epoch"), *portion = portion_of(records, &at);
        json_t *body = json_pack("{s:O*, s:O*, s:O*, s:b, s:o}", "fleetsnap_export",
                                 json_object_get(document, "fleetsnap_export"), "epoch", epoch, "epoch_run_id",
                                 json_object_get(document, "epoch_run_id"), "dry_run", dry_run, "records", portion);
        json_t *answer = NULL;
        int code = call_change(cli, "admin import", "POST", "/v1/admin/import", body, NULL, &answer);
        json_decref(body);
        if (code)
            return code;
        if (!json_is_null(json_object_get(answer, "epoch")))
            json_object_set(sum, "epoch", json_object_get(answer, "epoch"));
        add_counts(json_object_get(sum, "kinds"), json_object_get(answer, "kinds"));
        json_decref(answer);
    } while (at < json_array_size(records));
    return EXIT_DONE;
}

static void show_sum(struct cli *cli, const json_t *sum)
{
    const char *kind;
    json_t *counts;

    json_object_foreach(json_object_get(sum, "kinds"), kind, counts)
        fprintf(cli->out, "%-12s %lld %s, %lld there already\n", kind, (long long)member_int(counts, "added"),
                member_true(sum, "dry_run") ? "would be added" : "added", (long long)member_int(counts, "there"));
    if (json_is_integer(json_object_get(sum, "epoch")))
        fprintf(cli->out, "%-12s %lld\n", "epoch", (long long)member_int(sum, "epoch"));
}

int run_admin_import(struct cli *cli, const struct invocation *invocation)
{
    bool dry = invocation_has(invocation, "dry-run");
    json_t *document = NULL, *sum = json_pack("{s:b, s:n, s:{}}", "dry_run", dry, "epoch", "kinds");

    int code = load(cli, invocation_argument(invocation, "FILE"), &document);
    if (code)
        return json_decref(sum), code;
    code = pass(cli, document, true, sum);
    if (code == 0 && !dry) {
        json_object_set_new(sum, "kinds", json_object());
        code = pass(cli, document, false, sum);
    }
    if (code == 0 && cli->json)
        cli_print_json(cli, sum);
    else if (code == 0)
        show_sum(cli, sum);
    if (code == 0 && !cli->json && !dry)
        fprintf(cli->err, "Next, for each repository: fleetsnap repository import NAME\n");
    json_decref(document);
    json_decref(sum);
    return code;
}
