#pragma once
/* Base64 (RFC 4648 section 4, with padding), strict: no blanks, no missing padding, no stray bits. Any thread. */
#include <stddef.h>

#define BASE64_TEXT(bytes) (((bytes) + 2) / 3 * 4 + 1) /* with the NUL */

int base64_encode(const void *data, size_t len, char *out,
                  size_t out_size); /* length of the text, or -1 if it does not fit with its NUL */
int base64_decode(const char *text, void *out,
                  size_t out_size); /* number of bytes, or -1 if it does not fit or is not base64 */
