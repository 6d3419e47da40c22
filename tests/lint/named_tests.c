#include "lint/named_tests.h"

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "coordinator/cli/command.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How much of a test's name is the verb; 0: it is not called after it. `verb` has '.' and maybe '-', where the name has '_'. */
static size_t named_after(const char *name, size_t name_len, const char *verb)
{
    size_t len = strlen(verb);

    if (name_len < len || (name_len > len && name[len] != '_'))
        return 0;
    for (size_t i = 0; i < len; i++)
        if (name[i] != (verb[i] == '.' || verb[i] == '-' ? '_' : verb[i]))
            return 0;
    return len;
}

/* test_target_export_finish_… is a test of export-finish, not of export. */
static bool named_after_longer(const char *name, size_t name_len, size_t than)
{
    const struct command *command;
    char verb[64];

    for (size_t i = 0; (command = command_at(i)); i++) {
        snprintf(verb, sizeof verb, "%s.%s", command->noun, command->verb);
        if (*command->verb && named_after(name, name_len, verb) > than)
            return true;
    }
    return false;
}

static void add_tests_of(const char *path, const char *script, const char *verb, struct text *out)
{
    static const char prefix[] = "\ntest_";

    for (const char *at = script; (at = strstr(at, prefix)); at++) {
        const char *name = at + strlen(prefix);
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), of_verb = named_after(name, len, verb);

        if (name[len] == '(' && of_verb && !named_after_longer(name, len, of_verb))
            text_addf(out, "%s`test_%.*s` (%s)", out->len ? ", " : "", (int)len, name, strrchr(path, '/') + 1);
    }
}

void named_tests_add(const char *verb, struct text *out)
{
    glob_t scripts = {0};
    struct err err = {0};

    if (glob(SOURCE_DIR "/tests/e2e/*.sh", 0, NULL, &scripts) != 0)
        abort();
    for (size_t i = 0; i < scripts.gl_pathc; i++) {
        char *script = NULL;
        size_t len;
        if (file_read(scripts.gl_pathv[i], 1 << 20, &script, &len, &err) < 0)
            abort();
        add_tests_of(scripts.gl_pathv[i], script, verb, out);
        free(script);
    }
    globfree(&scripts);
}
