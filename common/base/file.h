#pragma once
/* Files. Paths are absolute unless said otherwise. Any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

int file_read(const char *path, size_t max_bytes, char **out, size_t *out_len,
              struct err *err); /* NUL-terminated; caller frees; larger is an error */
int file_read_secret(const char *path, size_t max_bytes, char **out, size_t *out_len,
                     struct err *err); /* also refuses a file that group or others can read */
/* Durable replace: temporary file in the same folder, fsync, rename, fsync of the folder. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* The same with a temporary file named after who writes, of whom there is one at a time: when he dies in it and writes again, nothing is left of the first time. */
int file_write_atomic_by(const char *path, const char *writer, const void *data, size_t len, mode_t mode,
                         struct err *err);
int file_make_directories(const char *path, mode_t mode, struct err *err); /* like mkdir -p */
int file_sync_directory(const char *path, struct err *err);
bool file_exists(const char *path);
/* "PATH dev 8:1 ino 1234": the same path of another file system, or of a copy, is another. Caller frees. */
int file_identity(const char *path, char **out, struct err *err);
int file_remove(const char *path, struct err *err); /* absent is success */
int file_remove_folder(const char *path,
                       struct err *err); /* its files and itself; no sub-directories; absent is success */
int file_free_space(const char *path, int64_t *free_bytes, int64_t *total_bytes, struct err *err);
/* True if `path` (absolute; need not exist) is `root`, which must exist, or lies inside it after symbolic links of the existing part are resolved. */
bool file_inside(const char *path, const char *root);
