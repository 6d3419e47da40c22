#include "coordinator/belief.h"

#include "base/uuid.h"
#include "crypto/mac.h"
#include "model/status.h"

#include <string.h>

bool belief_names_job(const struct mac_input *said)
{
    return said->fs_job && uuid_valid(said->fs_job) && said->key && said->key_len == UUID_TEXT - 1 &&
           memcmp(said->key, said->fs_job, UUID_TEXT - 1) == 0 && said->value;
}

bool belief_status_fits(const struct mac_input *said, const struct status *status, const struct ledger_job_facts *facts)
{
    bool leader = !said->fs_host;
    char target[TARGET_TEXT];

    return strcmp(status->job_id, said->fs_job) == 0 &&
           strcmp(target_format(&status->target, target), facts->target) == 0 &&
           leader == (status->origin == ORIGIN_COORDINATOR) && (!status->host || strcmp(status->host, facts->host) == 0);
}
