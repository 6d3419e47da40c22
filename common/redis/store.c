/*
 * Commands and answers. The arguments of a command are written one behind the other into one buffer, which moves while it grows: so they are kept as offsets
 * until command_end() makes pointers of them. A command that is used again keeps the buffer, and the hot path allocates nothing.
 */
#include "redis/store_internal.h"

#include "base/err.h"
#include "base/text.h"
#include "redis/connection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void store_command_clear(struct store_command *command)
{
    if (command->arena_)
        text_free(command->arena_);
    free(command->arena_);
    *command = (struct store_command){0};
}

/* An argument too many, and a buffer that could not grow, show at the end. */
static void add_len(struct store_command *command, const char *data, size_t len)
{
    if (command->argc < STORE_ARGS_MAX)
        command->offsets_[command->argc] = command->arena_ ? command->arena_->len : 0;
    command->argc++;
    if (!command->arena_)
        return;
    text_add_len(command->arena_, data, len);
    text_add_len(command->arena_, "", 1);
}

void command_add(struct store_command *command, const char *argument)
{
    add_len(command, argument ? argument : "", argument ? strlen(argument) : 0);
}

void command_add_int(struct store_command *command, int64_t argument)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t rest = argument < 0 ? 0 - (uint64_t)argument : (uint64_t)argument;

    do
        *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (argument < 0)
        *--at = '-';
    add_len(command, at, (size_t)(digits + sizeof digits - at));
}

void command_add_lines(struct store_command *command, const char *const *items)
{
    command_add(command, "");
    for (; items && *items && command->arena_; items++) {
        command->arena_->len--; /* the NUL, again behind what follows */
        text_add(command->arena_, *items);
        text_add_len(command->arena_, "\n", 2);
    }
}

void command_begin(struct store_command *command, const char *function)
{
    command->argc = 0;
    if (!command->arena_)
        command->arena_ = calloc(1, sizeof *command->arena_);
    if (command->arena_)
        text_clear(command->arena_);
    command_add(command, "FCALL");
    command_add(command, function);
    command_add(command, "0"); /* the function knows its keys */
}

int command_end(struct store_command *command, const char *subject, struct err *err)
{
    bool failed = !command->arena_ || command->arena_->failed;

    if (command->argc > STORE_ARGS_MAX || failed) {
        bool many = command->argc > STORE_ARGS_MAX;
        command->argc = 0;
        return many ? err_set(err, ERR_PERMANENT, "redis command for %s: too many arguments", subject)
                    : err_memory(err, "redis command");
    }
    for (int i = 0; i < command->argc; i++)
        command->argv[i] = command->arena_->data + command->offsets_[i];
    return 0;
}

void store_send(struct redis *redis, const struct store_command *command, redis_callback *callback, void *context)
{
    if (!many_send(redis, command->argc, command->argv, callback, context))
        redis_send(redis, command->argc, command->argv, NULL, callback, context);
}

struct redis_reply *store_call(struct redis *redis, const struct store_command *command, struct err *err)
{
    return redis_call(redis, err, command->argc, command->argv, NULL);
}

int answer_word(const struct redis_reply *reply, const struct word *words, int absent)
{
    const char *text = redis_reply_text(redis_reply_at(reply, 0));

    for (; text && words->text; words++) {
        if (strcmp(text, words->text) == 0)
            return words->value;
    }
    return absent;
}

void answer_text(const struct redis_reply *reply, size_t index, char *out, size_t size)
{
    const char *text = redis_reply_text(redis_reply_at(reply, index));

    snprintf(out, size, "%s", text ? text : "");
}

void answer_problem(const struct redis_reply *reply, char *out, size_t size)
{
    const char *text = redis_reply_is_error(reply) ? redis_reply_text(reply) : NULL;

    if (!text)
        text = redis_reply_text(redis_reply_at(reply, 0));
    snprintf(out, size, "%s", text ? text : "no answer from Redis");
}
