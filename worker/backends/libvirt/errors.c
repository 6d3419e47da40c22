/*
 * libvirt's error numbers → kinds. A number says which call may work later; what it leaves open is decided for "later", because attempts are counted and the verbs refuse
 * beforehand what can never work. Messages are for people and decide nothing.
 */
#include "worker/backends/libvirt/libvirt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Of VIR_ERR_SYSTEM_ERROR: libvirt keeps errno in int1. */
static enum err_kind kind_of_errno(int number)
{
    struct err err = {0};

    err_errno(&err, number, "");
    return err.kind;
}

static enum err_kind kind_of(const virError *error)
{
    switch (error->code) {
    case VIR_ERR_SYSTEM_ERROR: return kind_of_errno(error->int1);
    case VIR_ERR_INTERNAL_ERROR: /* whatever QEMU said */
    case VIR_ERR_NO_MEMORY:
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_OPERATION_FAILED:
    case VIR_ERR_OPERATION_INVALID: /* not in this state */
    case VIR_ERR_OPERATION_TIMEOUT:
    case VIR_ERR_OPERATION_ABORTED:
    case VIR_ERR_BLOCK_COPY_ACTIVE:
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
    case 112: /* AGENT_COMMAND_TIMEOUT, since 11.2 */
    case 113: /* AGENT_COMMAND_FAILED */ return ERR_RETRY;
    default: return ERR_PERMANENT;
    }
}

static _Thread_local virError noted;
static _Thread_local char noted_message[400];

void libvirt_note_error(void)
{
    const virError *error = virGetLastError();

    snprintf(noted_message, sizeof noted_message, "%s", error && error->message ? error->message : "no message");
    noted = error ? *error : (virError){.code = VIR_ERR_INTERNAL_ERROR};
    noted.message = noted_message;
}

static int set_error(struct err *err, enum err_kind kind, const virError *error, const char *format, va_list args)
{
    char subject[256];

    vsnprintf(subject, sizeof subject, format, args);
    return err_set_code(err, kind, error->code, "%s: libvirt: %s", subject, error->message);
}

int libvirt_err_noted(struct err *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(err, kind_of(&noted), &noted, format, args);
    va_end(args);
    return -1;
}

int libvirt_call_err_noted(struct libvirt_backend *backend, struct err *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(err, kind_of(&noted), &noted, format, args);
    va_end(args);
    if (virConnectIsAlive(backend->connection) != 1 && err)
        err->kind = ERR_UNKNOWN;
    return -1;
}

int libvirt_code(void)
{
    return virGetLastErrorCode();
}
