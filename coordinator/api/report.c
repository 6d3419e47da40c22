#include "base/clock.h"
#include "base/err.h"
#include "coordinator/api/internal.h"
#include "coordinator/plans.h"

static const int64_t PERIOD_MS = 7LL * 24 * 3600 * 1000;

int api_report(struct api_request *request, struct api_response *response)
{
    static const char *const allowed[] = {"since", NULL};
    struct view_filter filter;
    json_t *report = NULL;
    struct err err = {0};

    if (!api_filter(request, response, allowed, &filter) || !api_scope_is_all(request, response))
        return 0;
    if (plans_report(request->context->coordinator, request->reader,
                     filter.since_ms ? filter.since_ms : clock_real_ms() - PERIOD_MS, &report, &err) < 0)
        return api_problem_err(response, "report", &err);
    return api_answer(response, 200, report);
}
