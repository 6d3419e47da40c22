#pragma once
/* UUIDs as lower-case text of 36 characters (RFC 4122). Any thread. */
#include <stdbool.h>

enum { UUID_TEXT = 37 /* with the NUL */, UUID_BYTES = 16 };

void uuid_random(char out[UUID_TEXT]); /* version 4 */
void uuid_derive(char out[UUID_TEXT],
                 const char *const parts[]); /* version 5 in Fleetsnap's namespace; parts end with NULL, joined with 0x1f */
bool uuid_valid(const char *text);           /* 8-4-4-4-12 lower-case hex */
bool uuid_prefix_valid(const char *text);                         /* 4..36 characters that can begin one */
bool uuid_parse(const char *text, unsigned char out[UUID_BYTES]); /* false if it is not valid: `out` is then anything */
void uuid_format(char out[UUID_TEXT], const unsigned char bytes[UUID_BYTES]);
/* The lowest and the highest that begin with `prefix`; false: none can. Their bytes have the order of their texts. */
bool uuid_range(const char *prefix, unsigned char first[UUID_BYTES], unsigned char last[UUID_BYTES]);
