/* For tests/oracle/schedule.py: lines of "zone<TAB>after<TAB>until<TAB>pattern" (seconds since 1970) become lines of the slots between, or "! error". */
#include "base/err.h"
#include "coordinator/schedule.h"
#include "coordinator/zone.h"

#include <stdio.h>
#include <string.h>

static void print_slots(const struct cron *cron, const struct zone *zone, int64_t after_ms, int64_t until_ms)
{
    for (int64_t slot = after_ms; schedule_next(cron, zone, slot, until_ms, &slot);)
        printf("%lld ", (long long)slot / 1000);
    printf("\n");
}

int main(void)
{
    char line[1024], name[128], pattern[256];
    struct zone *zone = NULL;
    char open_name[128] = "";
    long long after, until;

    while (fgets(line, sizeof line, stdin)) {
        struct cron cron;
        struct err err = {0};
        if (sscanf(line, "%127[^\t]\t%lld\t%lld\t%255[^\n]", name, &after, &until, pattern) != 4)
            return 2;
        if (strcmp(name, open_name) != 0) {
            zone_free(zone);
            zone = NULL;
            if (zone_open(name, &zone, &err) == 0)
                strcpy(open_name, name);
        }
        if (err.kind || cron_parse(pattern, &cron, &err) < 0)
            printf("! %s\n", err.text);
        else
            print_slots(&cron, zone, after * 1000, until * 1000);
    }
    zone_free(zone);
    return 0;
}
