/* functions.lua as it is, with a NUL behind it. REDIS_DIR comes from the build, which also knows that this file depends on it. */
#include "redis/store_internal.h"

__asm__(".section .rodata\n"
        ".global store_functions_lua\n"
        ".hidden store_functions_lua\n"
        "store_functions_lua:\n"
        ".incbin \"" REDIS_DIR "/functions.lua\"\n"
        ".global store_functions_lua_end\n"
        ".hidden store_functions_lua_end\n"
        "store_functions_lua_end:\n"
        ".byte 0\n"
        ".previous\n");
