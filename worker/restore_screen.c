#include "worker/restore_screen.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MS = 10000, REDRAW_MS = 200 };

int screen_complain(const struct err *err, int code)
{
    fprintf(stderr, "fleetsnap-worker restore: %s\n", err->text);
    if (err->hint[0])
        fprintf(stderr, "  %s\n", err->hint);
    return code;
}

void screen_close_line(struct screen *screen)
{
    if (screen->line_open)
        fputc('\n', stderr);
    screen->line_open = false;
}

static void show_bytes(struct screen *screen, int64_t done, int64_t total)
{
    int64_t now = clock_monotonic_ms(), took = now - screen->begun_ms;
    char a[32], b[32], rate[32], left[32];

    if (screen->json || total <= 0 || now - screen->shown_ms < (screen->terminal ? REDRAW_MS : LINE_MS))
        return;
    int64_t per_second = took > 500 ? (done - screen->begun_bytes) * 1000 / took : 0;
    screen->shown_ms = now;
    fprintf(stderr, "%s%-16s %3d %%   %s of %s", screen->terminal ? "\r" : "", screen->phase, (int)(done * 100 / total),
            format_size(done, a, sizeof a), format_size(total, b, sizeof b));
    if (per_second > 0)
        fprintf(stderr, "   %s/s   %s left", format_size(per_second, rate, sizeof rate),
                format_duration((total - done) * 1000 / per_second / 1000 * 1000, left, sizeof left));
    fputs(screen->terminal ? "\033[K" : "\n", stderr);
    screen->line_open = screen->terminal;
}

void screen_event(void *context, const json_t *event)
{
    struct screen *screen = context;
    const char *phase = json_string_value(json_object_get(event, "phase"));
    const char *resumed = json_string_value(json_object_get(event, "resumed"));

    if (resumed && !screen->json)
        fprintf(stderr, "first the restore to %s, which was interrupted\n", resumed);
    if (phase && strcmp(phase, "plan") != 0) {
        screen_close_line(screen);
        snprintf(screen->phase, sizeof screen->phase, "%s", phase);
        screen->begun_ms = clock_monotonic_ms();
        screen->begun_bytes = 0;
        screen->shown_ms = screen->terminal ? 0 : screen->begun_ms;
        if (!screen->json)
            fprintf(stderr, "%s\n", phase);
    }
    if (json_object_get(event, "total"))
        show_bytes(screen, json_integer_value(json_object_get(event, "done")),
                   json_integer_value(json_object_get(event, "total")));
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

int screen_refused(struct screen *screen, const json_t *refused)
{
    struct err err = {0};

    screen_close_line(screen);
    err_set(&err, ERR_PERMANENT, "%s", text_of(refused, "text"));
    err_hint(&err, "%s", text_of(refused, "hint"));
    return screen_complain(&err, EXIT_MISUSE);
}

static void print_plan(const json_t *result)
{
    const json_t *step;
    size_t index;

    printf("Would be done on this host, in this order; nothing has been changed.\n");
    json_array_foreach(json_object_get(result, "steps"), index, step)
        printf(" %2zu %-16s  %.*s\n", index + 1, text_of(step, "name"), (int)strcspn(text_of(step, "command"), "\n"),
               text_of(step, "command"));
}

static int exit_of(const char *state)
{
    static const struct {
        const char *state;
        int code;
    } codes[] = {{"SUCCEEDED", EXIT_OK}, {"PARKED", EXIT_OPEN}, {"LEFT", EXIT_OPEN}, {"CANCELLED", EXIT_UNDONE}};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].state, state) == 0)
            return codes[i].code;
    return EXIT_BAD;
}

static void print_success(const json_t *outcome)
{
    const json_t *facts = json_object_get(json_object_get(outcome, "result"), "facts");

    if (strchr(text_of(outcome, "to"), '/'))
        printf("restored the disks to %s\n", text_of(outcome, "to"));
    else
        printf("restored machine %s, disks in %s%s\n", text_of(outcome, "to"), text_of(facts, "directory"),
               *text_of(facts, "started") ? ", and started it" : "");
    if (strcmp(text_of(facts, "checksums"), "compared") != 0)
        printf("its files had no checksum yet to be compared with\n");
}

int screen_outcome(struct screen *screen, const json_t *outcome)
{
    const json_t *error = json_object_get(outcome, "error");
    const char *state = text_of(outcome, "state");
    int code = exit_of(state);

    screen_close_line(screen);
    if (screen->json) {
        json_dumpf(outcome, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code != EXIT_OK) {
        fprintf(stderr, "fleetsnap-worker restore: %s\n", *text_of(error, "text") ? text_of(error, "text") : state);
        if (*text_of(error, "hint"))
            fprintf(stderr, "  %s\n", text_of(error, "hint"));
        if (code == EXIT_OPEN)
            fputs("  it is not over: the same command goes on with it\n", stderr);
        else
            fputs("  what was made is taken back\n", stderr);
    } else if (json_is_true(json_object_get(outcome, "dry_run")))
        print_plan(json_object_get(outcome, "result"));
    else
        print_success(outcome);
    return code;
}

static void print_point(const json_t *point)
{
    const json_t *target = json_object_get(point, "target");
    char size[32], made[64];
    int64_t at = 0;

    if (strcmp(text_of(point, "state"), "damaged") == 0) {
        printf("damaged   %s\n", text_of(point, "folder"));
        return;
    }
    parse_time(text_of(point, "created_at"), &at, NULL);
    printf("%.8s  %-20s  %-16s  %-12s %10s  %s\n", text_of(point, "id"),
           *text_of(target, "name") ? text_of(target, "name") : text_of(target, "id"),
           format_time(at, false, made, sizeof made), text_of(point, "backup_kind"),
           format_size(json_integer_value(json_object_get(point, "size_bytes")), size, sizeof size),
           text_of(point, "level"));
}

void screen_points(const json_t *points, bool json)
{
    const json_t *point;
    size_t index;

    if (json) {
        json_dumpf(points, stdout, JSON_INDENT(2));
        putchar('\n');
        return;
    }
    printf("%-8s  %-20s  %-16s  %-12s %10s  %s\n", "BACKUP", "MACHINE", "MADE", "KIND", "SIZE", "LEVEL");
    json_array_foreach(points, index, point) print_point(point);
}
