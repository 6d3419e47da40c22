/* What of the ledger is exported and imported: coordinator/transfer.h. */
#include "base/err.h"
#include "coordinator/api/internal.h"
#include "coordinator/transfer.h"

int api_admin_export(struct api_request *request, struct api_response *response)
{
    json_t *document = NULL;
    struct err err = {0};

    if (!api_scope_is_all(request, response))
        return 0;
    if (transfer_export(request->context->coordinator, &document, &err) < 0)
        return api_problem_err(response, "export", &err);
    coordinator_audit(request->context->coordinator, &request->caller, "admin.export", "ledger", NULL, "allowed");
    return api_answer(response, 200, document);
}

int api_admin_import(struct api_request *request, struct api_response *response)
{
    static const char *const members[] = {"fleetsnap_export", "exported_at", "coordinator", "term", "epoch",
                                          "epoch_run_id",     "records",     "dry_run",     NULL};
    json_t *done = NULL;
    struct err err = {0};

    if (!api_members(request, response, members) || !api_scope_is_all(request, response))
        return 0;
    if (transfer_import(request->context->coordinator, &request->caller, request->json, api_flag(request, "dry_run"),
                        &done, &err) < 0)
        return api_problem_err(response, "import", &err);
    return api_answer(response, 200, done);
}
