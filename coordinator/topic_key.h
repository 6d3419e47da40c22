#pragma once
/* Keys of tokens that may speak on Kafka: HKDF-SHA256(token, "fleetsnap/request"), in the ledger sealed by a key from the master key. */
#include "crypto/keys.h"

struct coordinator;
struct ledger_token;

/* The ring with which its records verify. ERR_PERMANENT: the token has none, or it was sealed under another master key. */
int topic_key_open(struct coordinator *coordinator, const struct ledger_token *token, struct key_ring *out,
                   struct err *err);
