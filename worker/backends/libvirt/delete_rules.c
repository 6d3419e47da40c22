#include "worker/backends/libvirt/delete_rules.h"

#include "worker/backends/libvirt/image.h"

#include <stdio.h>
#include <string.h>

static int check_pair(struct libvirt_backend *backend, const char *base, const char *top, struct err *err)
{
    CLEANUP(strings_endp) struct strings users = {0};

    if (image_users(backend->connection, base, &users, err) < 0)
        return -1;
    for (size_t i = 0; i < users.count; i++)
        if (!image_same(users.items[i], top))
            return err_set(err, ERR_CONFLICT, "%s: %s stands on it, too, and would be destroyed by a merge", base,
                           users.items[i]);
    return 0;
}

int delete_check_users(const struct step_run *run, const struct step *step, struct err *err)
{
    struct libvirt_backend *backend = libvirt_of(run->backend);

    for (size_t i = 0; i < step->args.count; i++) {
        const struct fact *fact = &step->args.items[i];
        char key[160];

        if (strncmp(fact->key, "top:", 4) != 0)
            continue;
        snprintf(key, sizeof key, "base:%s", fact->key + 4);
        if (check_pair(backend, facts_get_or(&step->args, key, ""), fact->value, err) < 0)
            return -1;
    }
    return 0;
}

int delete_learn(const struct step *step, struct facts *learned, struct err *err)
{
    const char *owner = facts_get(&step->args, "owner");
    char key[160];

    if (!owner)
        return 0;
    snprintf(key, sizeof key, "owner:%s", owner);
    return facts_set(learned, key, facts_get_or(&step->args, "name", ""), err);
}
