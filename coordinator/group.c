#include "coordinator/group.h"

#include "base/err.h"
#include "coordinator/plan.h"
#include "coordinator/world.h"
#include "model/job.h"

#include <stdio.h>
#include <string.h>

static int64_t count_on(const struct list *members, const char *host)
{
    int64_t count = 0;

    for (size_t i = 0; i < members->count; i++)
        count += strcmp(list_at(members, struct run_member, i)->host, host) == 0;
    return count;
}

/* Why this one cannot be in it, or "". Each member holds an executor of its host until all are ready. */
static void why_not(const struct run_member *member, const struct list *members, bool backups,
                    const struct world *world, const struct run_limits *limits, char why[PLAN_WHY])
{
    int64_t room = world_group_room(world, member->host, backups), here = count_on(members, member->host);

    *why = '\0';
    if (strncmp(member->target, "libvirt:", strlen("libvirt:")) != 0)
        snprintf(why, PLAN_WHY, "only machines can be in a consistency group");
    else if (members->count > GROUP_MEMBERS_MAX)
        snprintf(why, PLAN_WHY, "a consistency group has at most %d members, this one %zu", GROUP_MEMBERS_MAX,
                 members->count);
    else if (!room)
        snprintf(why, PLAN_WHY, "the worker of host %.63s does not know consistency groups%s", member->host,
                 backups ? " of backups" : "");
    else if (here > room)
        snprintf(why, PLAN_WHY, "host %.63s holds %lld members of a group at once (its executors), this has %lld there",
                 member->host, (long long)room, (long long)here);
    else if (limits->per_host && here > limits->per_host)
        snprintf(why, PLAN_WHY, "limits.per_host lets %lld jobs run on a host, the group has %lld on %.63s",
                 (long long)limits->per_host, (long long)here, member->host);
    else if (limits->jobs && (int64_t)members->count > limits->jobs)
        snprintf(why, PLAN_WHY, "limits.jobs lets %lld jobs run, the group has %zu", (long long)limits->jobs,
                 members->count);
}

int group_plan(struct run *run, struct list *members, int64_t limit_ms, const struct world *world,
               const struct run_limits *limits, struct err *err)
{
    char why[PLAN_WHY], text[PLAN_WHY + 16];

    bool backups = run_makes_backups(run);

    run->group_limit_ms = limit_ms;
    run->quiesce = QUIESCE_REQUIRE;
    for (size_t i = 0; i < members->count; i++) {
        struct run_member *member = list_at(members, struct run_member, i);
        if (run_member_refused(member))
            continue;
        if (member->skipped) /* a group without it is another group */
            snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, member->skipped);
        else
            why_not(member, members, backups, world, limits, why);
        if (!*why)
            continue;
        snprintf(text, sizeof text, "refused: %s", why);
        if (string_set(&member->skipped, text, err) < 0)
            return -1;
    }
    return 0;
}

const struct run_member *group_same_host(const struct list *members, const struct list *others)
{
    for (size_t i = 0; i < members->count; i++)
        if (count_on(others, list_at(members, struct run_member, i)->host))
            return list_at(members, struct run_member, i);
    return NULL;
}

void group_decide(struct run_seat *seats, size_t count)
{
    bool all = true;

    for (size_t i = 0; i < count; i++)
        all = all && (seats[i].state != MEMBER_PENDING || seats[i].move == MOVE_SUBMIT);
    for (size_t i = 0; i < count && !all; i++)
        if (seats[i].move == MOVE_SUBMIT)
            seats[i].move = MOVE_NONE;
}
