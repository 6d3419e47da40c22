/* The journal's tables of plans and steps. */
#include "worker/journal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "worker/journal_sql.h"

#include <sqlite3.h>
#include <string.h>

static int drop(struct journal *journal, enum sql name, int64_t row, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, name, err);

    if (!statement || journal_begin(journal, err) < 0)
        return -1;
    bind_int(statement, 1, row);
    return sql_done(journal, statement, err);
}

int journal_drop_plan(struct journal *journal, int64_t row, struct err *err)
{
    return drop(journal, SQL_PLAN_DROP, row, err) < 0 ? -1 : drop(journal, SQL_STEP_DROP, row, err);
}

int journal_save_plan(struct journal *journal, int64_t row, const char *plan_json, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_PLAN_SET, err);

    if (!statement || drop(journal, SQL_STEP_DROP, row, err) < 0)
        return -1;
    bind_int(statement, 1, row);
    bind_text(statement, 2, plan_json);
    return sql_done(journal, statement, err);
}

static int save_step(struct journal *journal, int64_t row, const struct step_change *change, struct err *err)
{
    CLEANUP(freep) char *facts = NULL;
    struct sqlite3_stmt *statement = sql(journal, SQL_STEP_SET, err);

    if (!statement || journal_begin(journal, err) < 0 ||
        (change->facts && facts_to_json(change->facts, &facts, err) < 0))
        return -1;
    bind_int(statement, 1, row);
    bind_int(statement, 2, (int64_t)change->index);
    bind_int(statement, 3, change->state);
    bind_text(statement, 4, facts);
    int failed = sql_done(journal, statement, err);
    bind_text(statement, 4, NULL);
    return failed;
}

int journal_save_steps(struct journal *journal, int64_t row, const struct step_change *changes, size_t count,
                       struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (save_step(journal, row, &changes[i], err) < 0)
            return -1;
    return 0;
}

static int get_plan(struct journal *journal, int64_t row, char **out, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_PLAN_GET, err);

    if (!statement)
        return -1;
    bind_int(statement, 1, row);
    int got = sql_next(journal, statement, err);
    if (got < 0)
        return -1;
    char *json = got ? strdup(column_text(statement, 0)) : NULL;
    sqlite3_reset(statement);
    if (got && !json)
        return err_memory(err, "journal");
    *out = json;
    return 0;
}

static int read_step(struct sqlite3_stmt *statement, struct journaled_plan *plan, struct err *err)
{
    size_t index = (size_t)sqlite3_column_int64(statement, 0);
    const char *facts = column_text(statement, 2);

    if (index >= plan->plan.count)
        return err_set(err, ERR_UNKNOWN, "journal: step %zu is not in the plan", index);
    plan->steps[index].state = (enum step_state)sqlite3_column_int(statement, 1);
    return facts ? facts_from_json(&plan->steps[index].facts, facts, err) : 0;
}

static int get_steps(struct journal *journal, int64_t row, struct journaled_plan *plan, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_STEP_GET, err);
    int got;

    if (!statement)
        return -1;
    bind_int(statement, 1, row);
    while ((got = sql_next(journal, statement, err)) > 0)
        if (read_step(statement, plan, err) < 0) {
            sqlite3_reset(statement);
            return -1;
        }
    return got;
}

int journal_load_plan(struct journal *journal, int64_t row, const struct backend_ops *ops, struct journaled_plan **out,
                      struct err *err)
{
    CLEANUP(freep) char *json = NULL;

    if (get_plan(journal, row, &json, err) < 0)
        return -1;
    *out = NULL;
    if (!json)
        return 0;
    struct journaled_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return err_memory(err, "journal");
    if (plan_from_json(json, ops, &plan->plan, err) == 0 &&
        (plan->steps = calloc(plan->plan.count + 1, sizeof *plan->steps)) && get_steps(journal, row, plan, err) == 0) {
        *out = plan;
        return 0;
    }
    journaled_plan_clear(plan);
    free(plan);
    return -1;
}

int journal_describe_plan(struct journal *journal, int64_t row, char **out_plan, char **out_steps, struct err *err)
{
    struct sqlite3_stmt *statement = sql(journal, SQL_STEP_GET, err);
    struct text steps = {0};
    int got;

    if (!statement || get_plan(journal, row, out_plan, err) < 0)
        return -1;
    bind_int(statement, 1, row);
    while ((got = sql_next(journal, statement, err)) > 0)
        text_addf(&steps, "%s%lld=%s", steps.len ? " " : "", sqlite3_column_int64(statement, 0),
                  step_state_names[sqlite3_column_int(statement, 1)]);
    *out_steps = text_take(&steps);
    return got;
}
