/* nonce (12) ‖ ciphertext ‖ tag (16), in base64. A random nonce is safe for far more secrets per key than a ledger will ever hold (2^32). */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16, SECRET_MAX = 64 * 1024 };

static void free_cipher(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

/* `out` holds the nonce; the rest is filled in. */
static int encrypt(const unsigned char *key, const void *data, int len, unsigned char *out, struct err *err)
{
    CLEANUP(free_cipher) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char *text = out + NONCE_BYTES;
    int done;

    if (!context || EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, out) != 1 ||
        EVP_EncryptUpdate(context, text, &done, data, len) != 1 || EVP_EncryptFinal_ex(context, text + len, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + len) != 1)
        return err_set(err, ERR_RETRY, "seal: AES-GCM failed");
    return 0;
}

int key_seal(const unsigned char key[KEY_BYTES], const void *data, size_t len, char **out_base64, struct err *err)
{
    size_t sealed_len = NONCE_BYTES + len + TAG_BYTES;

    if (len > SECRET_MAX)
        return err_set(err, ERR_PERMANENT, "seal: longer than %d bytes", SECRET_MAX);
    CLEANUP(freep) unsigned char *sealed = malloc(sealed_len);
    CLEANUP(freep) char *text = malloc(BASE64_TEXT(sealed_len));
    if (!sealed || !text)
        return err_memory(err, "seal");
    if (key_random(sealed, NONCE_BYTES, err) < 0 || encrypt(key, data, (int)len, sealed, err) < 0)
        return -1;
    key_base64(sealed, sealed_len, text, BASE64_TEXT(sealed_len));
    *out_base64 = TAKE_PTR(text);
    return 0;
}

static int decrypt(const unsigned char *key, unsigned char *sealed, int len, unsigned char *out)
{
    CLEANUP(free_cipher) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char *text = sealed + NONCE_BYTES;
    int done;

    if (!context || EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, sealed) != 1 ||
        EVP_DecryptUpdate(context, out, &done, text, len) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, text + len) != 1)
        return -1;
    return EVP_DecryptFinal_ex(context, out + len, &done) == 1 ? 0 : -1;
}

int key_unseal(const unsigned char key[KEY_BYTES], const char *base64, unsigned char **out, size_t *out_len,
               struct err *err)
{
    size_t size = strlen(base64) + 1;
    CLEANUP(freep) unsigned char *sealed = malloc(size);
    CLEANUP(freep) unsigned char *data = malloc(size);

    if (!sealed || !data)
        return err_memory(err, "unseal");
    int sealed_len = size > 2 * (SECRET_MAX + NONCE_BYTES + TAG_BYTES) ? -1 : key_unbase64(base64, sealed, size);
    if (sealed_len < NONCE_BYTES + TAG_BYTES)
        return err_set(err, ERR_PERMANENT, "unseal: not a sealed secret");
    int len = sealed_len - NONCE_BYTES - TAG_BYTES;
    if (decrypt(key, sealed, len, data) < 0) {
        OPENSSL_cleanse(data, size);
        return err_set(err, ERR_PERMANENT, "unseal: changed, or sealed with another key");
    }
    data[len] = '\0';
    *out = TAKE_PTR(data);
    *out_len = (size_t)len;
    return 0;
}
