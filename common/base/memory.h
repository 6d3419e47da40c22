#pragma once

/* Settles the allocator for a program that lives long and works in batches. Before the first thread starts. */
void memory_settle(void);
