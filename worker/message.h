#pragma once
/* What other threads tell the loop, through its one queue. The kind says which struct the message is the first member of; who made it says in its header who frees it. */
#include "base/queue.h"

enum message_kind {
    MESSAGE_ENDED,     /* struct work: an executor is through with it */
    MESSAGE_SAVE,      /* struct save (executor.c): must be durable before the executor goes on */
    MESSAGE_WORD,      /* struct word (keeper.h): cancel, control, lost */
    MESSAGE_HOLDS,     /* struct holds_heard (keeper.h): what people hold back */
    MESSAGE_INVENTORY, /* struct survey (surveyor.h) */
    MESSAGE_LINK,      /* struct kafka_link (kafka_link.h): Kafka is there */
};

struct message {
    struct queue_item item;
    enum message_kind kind;
};
