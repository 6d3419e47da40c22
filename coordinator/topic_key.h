#pragma once
/* Keys of tokens that may speak on Kafka: HKDF-SHA256(token, "fleetsnap/request"), in the ledger sealed by a key from the master key. */
struct coordinator;
struct err;
struct kafka_record;
struct ledger_entry;
struct mac;

enum { TOPIC_KEY_WHY = 300 };

/* Whether the bearer of the token wrote the record, as its fs-mac shows: 1, and the token's entry (caller frees); 0, and why not; -1: it cannot be known now. Thread of `mac`. */
int topic_key_believe(struct coordinator *coordinator, struct mac *mac, const struct kafka_record *record,
                      const char *token, struct ledger_entry **out_token, char why[TOPIC_KEY_WHY], struct err *err);
