#pragma once
/* The tables of commands and the functions behind them; commands_*.c and cmd_*.c only. */
#include "coordinator/cli/command.h"

extern const struct command commands_fleet[], commands_snapshot[], commands_backup[], commands_job[], commands_policy[],
    commands_deploy[], commands_export[], commands_help[];

command_run run_job_command; /* starts the job that the row's op names (job_command.c) */

command_run run_host_list, run_host_show, run_host_enroll, run_host_drain, run_host_resume, run_host_remove,
    run_host_replace, run_recover, run_admin_export, run_admin_import;
command_run run_target_list, run_target_show, run_doctor, run_topic_init, run_audit_list, run_audit_check,
    run_history_check;
command_run run_status_tail, run_report;
command_run run_token_create, run_token_list, run_token_revoke, run_dlq_list, run_dlq_show;
command_run run_export_finish;
command_run run_hold, run_hold_list, run_release, run_backup_pin, run_backup_unpin, run_snapshot_pin, run_snapshot_unpin;
command_run run_snapshot_create, run_backup_create,
    run_snapshot_revert; /* those with --group, else run_job_command (cmd_group.c) */
command_run run_snapshot_list, run_snapshot_show, run_backup_list, run_backup_show;
command_run run_backup_set_default, run_repository_init, run_repository_list, run_repository_show;
command_run run_job_list, run_job_show, run_job_watch, run_job_cancel, run_job_set, run_job_retry, run_job_resolve;
command_run run_policy_apply, run_policy_list, run_policy_show, run_policy_diff, run_policy_preview, run_policy_pause,
    run_policy_resume, run_policy_run_now, run_policy_delete;
command_run run_run_list, run_run_show, run_run_watch, run_run_cancel;
command_run run_deploy_begin, run_deploy_succeeded, run_deploy_failed, run_deploy_status, run_deploy_list;

struct coordinator_options;
/* For what asks Kafka itself: the coordinator's file that --config names. 0, and the caller frees; or an exit code (cmd_topic.c). */
int cli_coordinator_options(struct cli *cli, const struct invocation *invocation, const char *subject,
                            struct coordinator_options *out);
