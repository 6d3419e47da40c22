/* All routes. docs/openapi.yaml has the same ones: a test compares method, path, role and summary. */
#include "coordinator/api/internal.h"

const struct api_route api_routes[] = {
    {"GET", "/v1/health", ROLE_PUBLIC, api_health, "Whether this process answers"},
    {"GET", "/v1/state", ROLE_VIEWER, api_state, "Who leads, and what it sees of Kafka and Redis"},
    {"GET", "/v1/doctor", ROLE_VIEWER, api_doctor, "What is wrong, and what to do"},

    {"GET", "/v1/hosts", ROLE_VIEWER, api_hosts_list, "The hosts of the fleet"},
    {"GET", "/v1/hosts/{host}", ROLE_VIEWER, api_hosts_show, "One host"},
    {"POST", "/v1/hosts/{host}/enroll", ROLE_ADMIN, api_hosts_enroll, "Make or rotate the key of a host"},
    {"POST", "/v1/hosts/{host}/drain", ROLE_OPERATOR, api_hosts_drain, "Let a host take no new jobs"},
    {"POST", "/v1/hosts/{host}/resume", ROLE_OPERATOR, api_hosts_resume, "Let a host take jobs again"},
    {"DELETE", "/v1/hosts/{host}", ROLE_ADMIN, api_hosts_remove, "Forget a host and end its key"},

    {"GET", "/v1/targets", ROLE_VIEWER, api_targets_list, "The machines of the fleet"},
    {"GET", "/v1/targets/{target}", ROLE_VIEWER, api_targets_show, "One machine, with its disks"},
    {"GET", "/v1/targets/{target}/snapshots", ROLE_VIEWER, api_targets_snapshots, "The snapshots of a machine"},

    {"POST", "/v1/jobs", ROLE_OPERATOR, api_jobs_submit, "Start a job, or a dry run of one"},
    {"GET", "/v1/jobs", ROLE_VIEWER, api_jobs_list, "Jobs, newest first"},
    {"GET", "/v1/jobs/{job}", ROLE_VIEWER, api_jobs_show, "One job with its events"},
    {"GET", "/v1/jobs/{job}/events", ROLE_VIEWER, api_jobs_events, "The events of a job as they come"},
    {"GET", "/v1/events", ROLE_VIEWER, api_events, "The events of all jobs as they come"},
    {"POST", "/v1/jobs/{job}/cancel", ROLE_OPERATOR, api_jobs_cancel, "Ask a job to stop"},
    {"POST", "/v1/jobs/{job}/rate", ROLE_OPERATOR, api_jobs_rate, "Set the rate of a backup that runs"},
    {"POST", "/v1/jobs/{job}/retry", ROLE_OPERATOR, api_jobs_retry, "Start a job again under a new id"},
    {"POST", "/v1/jobs/{job}/resolve", ROLE_OPERATOR, api_jobs_resolve, "Say how a parked job ended"},

    {"GET", "/v1/points", ROLE_VIEWER, api_points_list, "Restore points, newest first"},
    {"GET", "/v1/points/{point}", ROLE_VIEWER, api_points_show, "One restore point with its chain"},
    {"POST", "/v1/points/{point}/pin", ROLE_OPERATOR, api_points_pin, "Let nobody take a restore point away"},
    {"DELETE", "/v1/points/{point}/pin", ROLE_OPERATOR, api_points_unpin, "End the pin of a restore point"},
    {"GET", "/v1/holds", ROLE_VIEWER, api_holds_list, "What is held, and why"},
    {"POST", "/v1/holds", ROLE_OPERATOR, api_holds_create, "Hold a machine, many, a host or all: nothing starts there"},
    {"DELETE", "/v1/holds/{hold}", ROLE_OPERATOR, api_holds_release, "Release what is held"},
    {"GET", "/v1/repositories", ROLE_VIEWER, api_repositories_list, "The repositories"},
    {"POST", "/v1/repositories", ROLE_OPERATOR, api_repositories_init, "Make a repository on a host"},
    {"GET", "/v1/repositories/{repository}", ROLE_VIEWER, api_repositories_show, "One repository"},

    {"GET", "/v1/policies", ROLE_VIEWER, api_policies_list, "The policies"},
    {"POST", "/v1/policies", ROLE_ADMIN, api_policies_apply, "Apply policies, or say what would change"},
    {"GET", "/v1/policies/{policy}", ROLE_VIEWER, api_policies_show, "One policy with its versions"},
    {"DELETE", "/v1/policies/{policy}", ROLE_ADMIN, api_policies_delete, "Delete a policy; what it made stays"},
    {"POST", "/v1/policies/{policy}/pause", ROLE_OPERATOR, api_policies_pause, "Let a policy start nothing by itself"},
    {"POST", "/v1/policies/{policy}/resume", ROLE_OPERATOR, api_policies_resume, "Let a policy go on"},
    {"POST", "/v1/policies/{policy}/run", ROLE_OPERATOR, api_policies_run, "Start a run of a policy now"},
    {"GET", "/v1/policies/{policy}/preview", ROLE_VIEWER, api_policies_preview, "What a policy would do next"},
    {"POST", "/v1/preview", ROLE_VIEWER, api_policies_preview_text, "What a policy would do that is not applied"},
    {"GET", "/v1/runs", ROLE_VIEWER, api_runs_list, "Runs, newest first"},
    {"GET", "/v1/runs/{run}", ROLE_VIEWER, api_runs_show, "One run with its members"},
    {"POST", "/v1/runs/{run}/cancel", ROLE_OPERATOR, api_runs_cancel, "Ask a run to stop"},

    {"GET", "/v1/defaults", ROLE_VIEWER, api_defaults_list, "Where backups go when nobody says"},
    {"POST", "/v1/defaults", ROLE_OPERATOR, api_defaults_set, "Say where backups go when nobody says"},

    {"GET", "/v1/tokens", ROLE_ADMIN, api_tokens_list, "The tokens, without their secrets"},
    {"POST", "/v1/tokens", ROLE_ADMIN, api_tokens_create, "Make a token; it is shown once"},
    {"DELETE", "/v1/tokens/{token}", ROLE_ADMIN, api_tokens_revoke, "Revoke a token"},
    {"GET", "/v1/dlq", ROLE_ADMIN, api_dead_letters_list, "What could not be read or trusted"},
    {"GET", "/v1/dlq/{partition}/{offset}", ROLE_ADMIN, api_dead_letters_show, "One record that could not be trusted"},
    {0},
};
