#!/usr/bin/env python3
"""Follows fleetsnap.status: one line for each event of which the MAC verifies. docs/protocol.md is all that it needs to know.

    pip install confluent-kafka fastavro
    follow_status.py BROKERS MASTER_KEY_FILE [SCHEMAS]      SCHEMAS: the folder with ids.json
"""
import base64, hashlib, hmac, io, json, pathlib, struct, sys
import confluent_kafka, fastavro

brokers, master_file, schemas = sys.argv[1], sys.argv[2], pathlib.Path((sys.argv + ["/usr/local/share/fleetsnap/schemas"])[3])
ids = json.loads((schemas / "ids.json").read_text())
shapes = {int(i): fastavro.schema.load_schema(schemas / row["file"]) for i, row in ids.items() if row["name"] == "status"}
master = base64.b64decode(open(master_file).read())


def sha(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def verifies(record, headers):
    generation, mac = headers.get("fs-mac", b"0:").split(b":", 1)
    prefix = b"fleetsnap/1" + struct.pack(">I", int(generation))
    key = sha(sha(bytes(32), master), prefix, headers.get("fs-host", b""), b"\x01")  # HKDF-SHA256 (RFC 5869)
    said = [record.topic().encode(), record.key(), record.value()] + [headers.get(n) for n in ("fs-host", "fs-term", "fs-job", "fs-rev")]
    over = [b"\xff" * 4 if part is None else struct.pack(">I", len(part)) + part for part in said]
    return hmac.compare_digest(base64.b64encode(sha(key, *over)), mac)


consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "example", "enable.auto.commit": False})
partitions = consumer.list_topics("fleetsnap.status").topics["fleetsnap.status"].partitions
consumer.assign([confluent_kafka.TopicPartition("fleetsnap.status", p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
while True:
    record = consumer.poll(1)
    if record is None or record.error():
        continue
    headers = dict(record.headers() or [])
    if not verifies(record, headers):
        print("not believed:", record.partition(), record.offset(), file=sys.stderr, flush=True)
        continue
    shape = shapes[struct.unpack(">xI", record.value()[:5])[0]]
    event = fastavro.schemaless_reader(io.BytesIO(record.value()[5:]), shape)
    print(event["job_id"], event["host"], event["op"], event["target"]["name"], event["state"], event["phase"] or "", flush=True)
