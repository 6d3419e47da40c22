#include "crypto/digest.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

enum { READ_BYTES = 1024 * 1024 };

static void free_md(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static void to_hex(const unsigned char digest[SHA256_DIGEST_LENGTH], char out[DIGEST_TEXT])
{
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[DIGEST_TEXT - 1] = '\0';
}

void digest_bytes(const void *data, size_t len, char out[DIGEST_TEXT])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256(data, len, digest);
    to_hex(digest, out);
}

void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, char out[DIGEST_TEXT])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    HMAC(EVP_sha256(), key, (int)key_len, data, len, digest, NULL);
    to_hex(digest, out);
}

static int add_file(EVP_MD_CTX *context, int fd, enum digest_cache cache, unsigned char *buffer,
                    bool (*step)(void *context, int64_t bytes), void *step_context, struct err *err)
{
    off_t done = 0;

    for (;;) {
        ssize_t got = read(fd, buffer, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read");
        if (got == 0)
            return 0;
        if (EVP_DigestUpdate(context, buffer, (size_t)got) != 1)
            return err_set(err, ERR_RETRY, "SHA-256 failed");
        if (cache == DIGEST_DROP)
            posix_fadvise(fd, done, got, POSIX_FADV_DONTNEED);
        done += got;
        if (step && !step(step_context, got))
            return err_set(err, ERR_CANCELLED, "stopped");
    }
}

int digest_file(const char *path, enum digest_cache cache, bool (*step)(void *context, int64_t bytes), void *context,
                char out[DIGEST_TEXT], struct err *err)
{
    CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(freep) unsigned char *buffer = malloc(READ_BYTES);
    CLEANUP(free_md) EVP_MD_CTX *sha = EVP_MD_CTX_new();
    unsigned char digest[SHA256_DIGEST_LENGTH];

    if (fd < 0)
        return err_errno(err, errno, path);
    if (!buffer || !sha || EVP_DigestInit_ex(sha, EVP_sha256(), NULL) != 1)
        return err_memory(err, path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (add_file(sha, fd, cache, buffer, step, context, err) < 0)
        return err_wrap(err, "%s", path);
    if (EVP_DigestFinal_ex(sha, digest, NULL) != 1)
        return err_set(err, ERR_RETRY, "%s: SHA-256 failed", path);
    to_hex(digest, out);
    return 0;
}
