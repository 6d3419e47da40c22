/* Prints docs/configuration.md from the option tables: `configuration_doc > docs/configuration.md`. With a path: exit 1 if that file says something else. */
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "coordinator/options.h"
#include "worker/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char intro[] =
    "# Configuration\n\n"
    "Both programs read one YAML file (`--config FILE`); every option can also be given on the command line as `--name=value`. Unknown keys are refused; an error names file, line and\n"
    "column. `--check-config` says whether a configuration is good, without starting anything. A dot in a name is a nested mapping in YAML.\n\n"
    "This page is generated from the option tables (`worker/options.c`, `coordinator/options.c`): `build/dev/tests/configuration_doc > docs/configuration.md`.\n\n";

int main(int argc, char **argv)
{
    struct text text = {0};
    struct err err = {0};
    char *now = NULL;
    size_t len;
    int differs = 0;

    text_add(&text, intro);
    config_markdown(worker_option_rows, "fleetsnap-worker", &text);
    text_add(&text, "\n");
    config_markdown(coordinator_option_rows, "fleetsnap-coordinator", &text);
    if (argc < 2) {
        fputs(text_str(&text), stdout);
    } else if (file_read(argv[1], 1 << 20, &now, &len, &err) < 0 || strcmp(now, text_str(&text)) != 0) {
        fprintf(stderr,
                "%s is not what the option tables say: %s\nregenerate it: configuration_doc > docs/configuration.md\n",
                argv[1], err.text);
        differs = 1;
    }
    free(now);
    text_free(&text);
    return differs;
}
