#pragma once
#include <stdio.h>

/* What changed between two texts, line by line: "- old", "+ new", and up to two lines around. Nothing if they are the same. Pure but for the output. */
void diff_print(FILE *out, const char *before, const char *after);
