#pragma once
/*
 * Keys of the fleet. One 32-byte master key (file, 0600, base64); each host's key is HKDF-SHA256 (RFC 5869; salt empty, IKM = master key,
 * info = "fleetsnap/1" ‖ u32be(generation) ‖ host_id), so the coordinator keeps one secret and a worker holds only its own. host_id "" is the leader's.
 */
#include <stddef.h>
#include <stdint.h>

struct err;

enum { KEY_BYTES = 32, KEY_RING_MAX = 16 };

struct host_key { /* one line of a worker's key file: "<generation> <base64>" */
    uint32_t generation;
    int64_t not_after_ms; /* 0: current; else records appended from then on do not verify with it */
    unsigned char key[KEY_BYTES];
};

struct key_ring { /* the keys of one host, newest generation first */
    struct host_key items[KEY_RING_MAX];
    size_t count;
};

int key_master_create(const char *path, struct err *err); /* refuses to overwrite */
int key_master_load(const char *path, unsigned char out[KEY_BYTES], struct err *err);
int key_derive_host(const unsigned char master[KEY_BYTES], uint32_t generation, const char *host_id,
                    unsigned char out[KEY_BYTES], struct err *err);
int key_derive(const unsigned char *ikm, size_t ikm_len, const char *info, unsigned char out[KEY_BYTES],
               struct err *err);
int key_ring_load(const char *path, struct key_ring *out,
                  struct err *err); /* a worker's key file, 0600; lines "generation base64 [not_after RFC 3339]" */
int key_ring_format(const struct key_ring *ring, char **out, struct err *err); /* caller frees */
int key_random(void *out, size_t len, struct err *err);
int key_base64(const void *data, size_t len, char *out, size_t out_size); /* length, or -1 if it does not fit */
int key_unbase64(const char *text, void *out, size_t out_size);           /* length, or -1 */
/* AES-256-GCM (NIST SP 800-38D), random 96-bit nonce in front, for secrets kept in the ledger. Caller frees. */
int key_seal(const unsigned char key[KEY_BYTES], const void *data, size_t len, char **out_base64, struct err *err);
int key_unseal(const unsigned char key[KEY_BYTES], const char *base64, unsigned char **out, size_t *out_len,
               struct err *err);
