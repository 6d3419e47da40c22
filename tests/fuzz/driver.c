/*
 * Runs a target without libFuzzer: every file that is named, or, with -runs=N, N inputs made from the seeds in the folders that are named, changed by a fixed
 * sequence, so that a failure happens again. -seed=N chooses another sequence. Under the sanitizers a finding ends the program.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUTS_MAX = 1024, BYTES_MAX = 65536 };

struct input {
    uint8_t *data;
    size_t size;
};

static struct input inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t sequence = 1;

static uint32_t next_random(void)
{
    sequence = sequence * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(sequence >> 33);
}

static void load_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file || input_count == INPUTS_MAX)
        exit(2);
    uint8_t *data = malloc(BYTES_MAX);
    inputs[input_count++] = (struct input){data, fread(data, 1, BYTES_MAX, file)};
    fclose(file);
}

static void load(const char *path)
{
    struct stat info;
    struct dirent *entry;
    char name[4096];

    if (stat(path, &info) < 0 || !S_ISDIR(info.st_mode)) {
        load_file(path);
        return;
    }
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            load_file(name);
    }
    closedir(folder);
}

/* One change: a byte, a bit, a piece cut out, a piece doubled, or a piece of another input. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '[', ',', '('};
    size_t at = size ? next_random() % size : 0;
    size_t len = size ? next_random() % (size - at) % 32 + 1 : 0;
    const struct input *other = &inputs[next_random() % input_count];

    switch (size ? next_random() % 5 : 4) {
    case 0: data[at] = odd[next_random() % sizeof odd]; return size;
    case 1: data[at] ^= (uint8_t)(1 << next_random() % 8); return size;
    case 2:
        if (at + len > size)
            return size;
        memmove(data + at, data + at + len, size - at - len);
        return size - len;
    case 3:
        if (at + len > size || size + len > BYTES_MAX)
            return size;
        memmove(data + at + len, data + at, size - at);
        return size + len;
    default:
        len = len < other->size ? len : other->size;
        if (at + len > BYTES_MAX)
            return size;
        memcpy(data + at, other->data + (other->size ? next_random() % (other->size - len + 1) : 0), len);
        return at + len > size ? at + len : size;
    }
}

static void run_mutated(void)
{
    static uint8_t data[BYTES_MAX];
    const struct input *seed = &inputs[next_random() % input_count];
    size_t size = seed->size;

    memcpy(data, seed->data, size);
    for (uint32_t changes = 1 + next_random() % 6; changes > 0; changes--)
        size = mutate(data, size);
    uint8_t *exact = malloc(size ? size : 1); /* so that a byte read too far is seen */
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    long runs = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0)
            runs = strtol(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "-seed=", 6) == 0)
            sequence = strtoull(argv[i] + 6, NULL, 10);
        else
            load(argv[i]);
    }
    if (input_count == 0)
        inputs[input_count++] = (struct input){calloc(1, 1), 0};
    for (size_t i = 0; i < input_count; i++)
        LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
    for (long i = 0; i < runs; i++)
        run_mutated();
    printf("%zu inputs, %ld mutations\n", input_count, runs);
    for (size_t i = 0; i < input_count; i++)
        free(inputs[i].data);
    return 0;
}
