#pragma once
/* Private to common/redis: building an FCALL and reading the word that every function answers with. */
#include "redis/store.h"

extern const char store_functions_lua[]; /* the files of functions/ as one text, compiled in */
extern const char store_functions_lua_end[];

void command_begin(struct store_command *command, const char *function);
void command_add(struct store_command *command, const char *argument); /* NULL: "" */
void command_add_int(struct store_command *command, int64_t argument);
void command_add_lines(struct store_command *command,
                       const char *const *items); /* one argument, an item per line; NULL-terminated; NULL: "" */
int command_end(struct store_command *command, const char *subject, struct err *err);

struct word {
    const char *text;
    int value;
};
/* The value of the answer's first element, or `absent` for no answer, an error, or a word that is not in the list (which ends with text NULL). */
int answer_word(const struct redis_reply *reply, const struct word *words, int absent);
void answer_text(const struct redis_reply *reply, size_t index, char *out, size_t size); /* "" if absent */
void answer_problem(const struct redis_reply *reply, char *out, size_t size);            /* why there is no answer */
