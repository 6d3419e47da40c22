#include "coordinator/cli/ask.h"

#include "coordinator/cli/call.h"
#include "coordinator/cli/job_end.h"
#include "coordinator/cli/outcome.h"

#include <string.h>

int ask_host(struct cli *cli, const char *subject, const char *op, const char *target, json_t *params, json_t **out)
{
    json_t *request = json_pack("{s:s, s:s, s:o}", "op", op, "target", target, "params", params), *accepted = NULL;
    int code = call_change(cli, subject, "POST", "/v1/jobs", request, NULL, &accepted);

    code = code ? code : job_wait(cli, subject, accepted, NULL, true, out, NULL);
    json_decref(request);
    json_decref(accepted);
    if (code || strcmp(member_text(*out, "state"), "SUCCEEDED") == 0)
        return code;
    code = outcome_print(cli, *out, "");
    json_decref(*out);
    *out = NULL;
    return code;
}
