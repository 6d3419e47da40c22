#pragma once
/* The entry point of every target, the same as libFuzzer's: with clang link with -fsanitize=fuzzer, with gcc with driver.c. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
