#pragma once
/* What the edges of custody.c and the ends of custody_end.c share. The loop's thread. */
#include "worker/custody.h"
#include "worker/journal.h"
#include "worker/teller.h"

struct teller custody_teller(const struct custody *custody);
struct inbox_row custody_row(const struct work *work); /* points into the work */
void custody_set_state(struct custody *custody, struct work *work, enum job_state state);
/* Its row says now how it stands, and so does an event. */
void custody_end_silence(struct custody *custody, struct work *work);
/* An attempt is over, or was not begun: keeper and class limits let go of it. The target stays closed if `closed`. */
void custody_let_go(struct custody *custody, struct work *work, bool closed);
