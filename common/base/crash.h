#pragma once
/*
 * Crash points for the crash matrix: compiled in only with -DFLEETSNAP_CRASH_POINTS=ON (presets dev, asan, tsan; never release). The environment variable
 * FLEETSNAP_CRASH="<point>[:<step or op>][#<n>]" makes the n-th passage (default 1) of that point SIGKILL the process.
 * Points: accept.before accept.after plan.before plan.after intent.before intent.after effect.after done.after undo.before undo.after pay.before pay.after
 * result.before result.after finish.before finish.after publish.before publish.after; the coordinator's: prepare.before prepare.after ticket.after published.before published.after
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
