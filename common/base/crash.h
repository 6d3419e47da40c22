#pragma once
/*
 * Crash points for the crash matrix: compiled in only with -DFLEETSNAP_CRASH_POINTS=ON (presets dev, asan, tsan; never release). The environment variable
 * FLEETSNAP_CRASH="<point>[:<step or op>][#<n>]" makes the n-th passage (default 1) of that point SIGKILL the process; with "A>B" the passages of B count from A on; with
 * "~<ms>" at the end it comes so long after the passage, in the middle of what follows; with "=STOP" there it is SIGSTOP, and the test says when it goes on.
 * FLEETSNAP_CRASH_FILE names a file with such a text, which is looked at anew at each point: a test can want a crash, and want it no more, while the process runs.
 * Points: connect.before (a process's first connection to the hypervisor) accept.before accept.after plan.before plan.after intent.before intent.after effect.before effect.after
 * done.after undo.before undo.after pay.before pay.after result.before result.after finish.before finish.after publish.before publish.after merge.after commit.after (QEMU has begun it)
 * pivot.before; the coordinator's:
 * prepare.before prepare.after ticket.after published.before published.after run.before run.after
 */
#ifdef FLEETSNAP_CRASH_POINTS
void crash_point(const char *point, const char *detail);
#else
static inline void crash_point(const char *point, const char *detail)
{
    (void)point;
    (void)detail;
}
#endif
