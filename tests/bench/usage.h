#pragma once
/* What a bench reads of processes and threads: proc(5). Any thread. */
#include <stddef.h>

double usage_wall(void);                 /* seconds, monotonic */
double usage_process(void);              /* CPU seconds of this process, user and system */
double usage_thread(const char *name);   /* CPU seconds of our living threads of that name, all together */
long usage_memory_kib(const char *name); /* "VmRSS", "VmHWM" of this process */
void usage_forget_peak(void);            /* VmHWM begins anew at what is used now */
double usage_percentile(double *values, size_t count, double percent); /* sorts them */
