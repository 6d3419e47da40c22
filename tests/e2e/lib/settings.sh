# shellcheck shell=bash
# What makes the fleet of the tests hear of changes sooner than a real one does.
export WORKER_ARGS='--inventory=5s --heartbeat=2s --agent_timeout=2s'
export COORDINATOR_ARGS='--holders_grace=12s --heartbeat_poll=1s'
