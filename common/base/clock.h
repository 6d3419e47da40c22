#pragma once
/* Time. Real time is UTC since the epoch; monotonic time never jumps and decides every time-out. Any thread. */
#include <stdint.h>

int64_t clock_real_ms(void); /* CLOCK_REALTIME, milliseconds UTC */
int64_t clock_real_us(void);
int64_t clock_monotonic_ms(void); /* CLOCK_MONOTONIC, milliseconds */
int64_t clock_monotonic_us(void);
/* Tests only: from then on both clocks stand still at these values until moved; 0, 0 gives the true clocks back. */
void clock_fake(int64_t real_ms, int64_t monotonic_ms);
