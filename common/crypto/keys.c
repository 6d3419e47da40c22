#include "crypto/keys.h"

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MASTER_FILE_MAX = 256, HOST_ID_MAX = 63 };

static const char info_prefix[] = "fleetsnap/1";

int key_random(void *out, size_t len, struct err *err)
{
    if (len > INT32_MAX || RAND_bytes(out, (int)len) != 1)
        return err_set(err, ERR_RETRY, "no random bytes");
    return 0;
}

int key_base64(const void *data, size_t len, char *out, size_t out_size)
{
    return base64_encode(data, len, out, out_size);
}

int key_unbase64(const char *text, void *out, size_t out_size)
{
    return base64_decode(text, out, out_size);
}

/* O_EXCL: two who enrol at once must not end with two masters. */
static int write_new(const char *path, const char *text, struct err *err)
{
    CLEANUP(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(text);

    if (fd < 0)
        return err_errno(err, errno, path);
    if (write(fd, text, len) == (ssize_t)len && fsync(fd) == 0)
        return 0;
    int code = errno;
    unlink(path);
    return err_errno(err, code, path);
}

int key_master_create(const char *path, struct err *err)
{
    char text[BASE64_TEXT(KEY_BYTES) + 1];
    unsigned char key[KEY_BYTES];

    if (key_random(key, sizeof key, err) < 0)
        return -1;
    key_base64(key, sizeof key, text, sizeof text);
    strcat(text, "\n");
    int failed = write_new(path, text, err);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(text, sizeof text);
    return failed;
}

static void cleanse_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

int key_master_load(const char *path, unsigned char out[KEY_BYTES], struct err *err)
{
    CLEANUP(cleanse_text) char *text = NULL;
    unsigned char key[KEY_BYTES + 1];

    if (file_read_secret(path, MASTER_FILE_MAX, &text, NULL, err) < 0)
        return -1;
    text[strcspn(text, "\r\n \t")] = '\0';
    if (key_unbase64(text, key, sizeof key) != KEY_BYTES)
        return err_set(err, ERR_PERMANENT, "%s: not a key: %d bytes in base64 are wanted", path, KEY_BYTES);
    memcpy(out, key, KEY_BYTES);
    OPENSSL_cleanse(key, sizeof key);
    return 0;
}

static void free_kdf(EVP_KDF_CTX **context)
{
    EVP_KDF_CTX_free(*context);
}

static int hkdf(const void *ikm, size_t ikm_len, const void *info, size_t info_len, unsigned char out[KEY_BYTES],
                struct err *err)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    CLEANUP(free_kdf) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char sha256[] = "SHA256";
    /* OSSL_PARAM has no const; nothing is written through these */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)ikm, ikm_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
        OSSL_PARAM_construct_end(),
    };

    EVP_KDF_free(kdf); /* the context holds its own reference */
    if (!context || EVP_KDF_derive(context, out, KEY_BYTES, params) != 1)
        return err_set(err, ERR_RETRY, "HKDF failed");
    return 0;
}

int key_derive_host(const unsigned char master[KEY_BYTES], uint32_t generation, const char *host_id,
                    unsigned char out[KEY_BYTES], struct err *err)
{
    unsigned char info[sizeof info_prefix - 1 + sizeof generation + HOST_ID_MAX];
    uint32_t big_endian = htonl(generation);
    size_t prefix_len = sizeof info_prefix - 1;
    size_t host_len = strnlen(host_id, HOST_ID_MAX + 1);

    if (host_len > HOST_ID_MAX)
        return err_set(err, ERR_PERMANENT, "host %.70s…: longer than %d bytes", host_id, HOST_ID_MAX);
    memcpy(info, info_prefix, prefix_len);
    memcpy(info + prefix_len, &big_endian, sizeof big_endian);
    memcpy(info + prefix_len + sizeof big_endian, host_id, host_len);
    return hkdf(master, KEY_BYTES, info, prefix_len + sizeof big_endian + host_len, out, err);
}

int key_derive(const unsigned char *ikm, size_t ikm_len, const char *info, unsigned char out[KEY_BYTES], struct err *err)
{
    return hkdf(ikm, ikm_len, info, strlen(info), out, err);
}
