/* The Redis functions as one text, with a NUL behind it. REDIS_DIR comes from the build, which also knows that this file depends on them. */
#include "redis/store_internal.h"

#define FILE_OF(part) \
    ".incbin \"" REDIS_DIR "/functions/" part ".lua\"\n" /* a part uses what stands in those before it */
#define RUNS FILE_OF("acquire") FILE_OF("renew") FILE_OF("finish")
#define PARTS \
    FILE_OF("library") FILE_OF("leader") FILE_OF("tickets") FILE_OF("slots") RUNS FILE_OF("hosts") FILE_OF("groups")
#define SYMBOL(name) ".global " name "\n.hidden " name "\n" name ":\n"

__asm__(".section .rodata\n" SYMBOL("store_functions_lua") PARTS FILE_OF("register")
            SYMBOL("store_functions_lua_end") ".byte 0\n.previous\n");
