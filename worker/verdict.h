#pragma once
/* After a job ran: what the executor's outcome means for it. The loop's thread. */
#include "worker/admission.h"

/* MESSAGE_ENDED. *out_left: the worker stops and the plan stays in the journal. */
int verdict_of(struct custody *custody, struct admission *admission, struct work *work, bool *out_left, struct err *err);
/* Cancel and control words, as the keeper heard them. */
int word_heard(struct custody *custody, const char *job_id, bool cancel, const char *control, struct err *err);
