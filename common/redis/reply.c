/* A struct redis_reply is hiredis' reply under another name, so that hiredis.h stays in this folder. */
#include "base/parse.h"
#include "redis/connection.h"

#include <string.h>

static const redisReply *unwrap(const struct redis_reply *reply)
{
    return (const redisReply *)reply;
}

const struct redis_reply *reply_wrap(const redisReply *reply)
{
    return (const struct redis_reply *)reply;
}

void redis_reply_free(struct redis_reply *reply)
{
    if (reply)
        freeReplyObject(reply);
}

bool redis_reply_is_error(const struct redis_reply *reply)
{
    return reply && unwrap(reply)->type == REDIS_REPLY_ERROR;
}

const char *redis_reply_text(const struct redis_reply *reply)
{
    const redisReply *raw = unwrap(reply);

    if (!raw || (raw->type != REDIS_REPLY_STRING && raw->type != REDIS_REPLY_STATUS && raw->type != REDIS_REPLY_ERROR))
        return NULL;
    return raw->str;
}

int64_t redis_reply_int(const struct redis_reply *reply, int64_t fallback)
{
    const redisReply *raw = unwrap(reply);
    int64_t value;

    if (raw && raw->type == REDIS_REPLY_INTEGER)
        return raw->integer;
    if (raw && raw->type == REDIS_REPLY_STRING && parse_int(raw->str, INT64_MIN, INT64_MAX, &value, NULL) == 0)
        return value;
    return fallback;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply && unwrap(reply)->type == REDIS_REPLY_ARRAY ? unwrap(reply)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t index)
{
    return index < redis_reply_count(reply) ? reply_wrap(unwrap(reply)->element[index]) : NULL;
}

/* The first word of an error is its code. */
bool reply_means_elsewhere(const redisReply *reply)
{
    static const char *const codes[] = {"LOADING ", "READONLY ", "MASTERDOWN "};

    for (size_t i = 0; reply->type == REDIS_REPLY_ERROR && i < sizeof codes / sizeof *codes; i++) {
        if (strncmp(reply->str, codes[i], strlen(codes[i])) == 0)
            return true;
    }
    return false;
}
