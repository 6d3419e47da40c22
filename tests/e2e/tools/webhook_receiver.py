#!/usr/bin/python3
"""A receiver of webhooks on a free port of loopback: prints the port, then one line of JSON for each event that it takes.

    webhook_receiver.py SECRET_FILE REFUSALS      answers 503 to the first REFUSALS posts, 403 to what is not signed as docs/monitoring.md says
"""
import hashlib
import hmac
import http.server
import json
import sys
import time

secret = open(sys.argv[1]).read().strip().encode()
refusals = int(sys.argv[2])


class Receiver(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text):
        if text:
            print(text, flush=True)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        global refusals
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = self.headers.get("Fleetsnap-Timestamp", "0")
        wanted = "v1=" + hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, self.headers.get("Fleetsnap-Signature", "")) or abs(time.time() - int(at)) > 300:
            self.answer(403, '{"forged": true}')
        elif refusals > 0:
            refusals -= 1
            self.answer(503, '{"refused": true}')
        else:
            self.answer(200, "\n".join(json.dumps(event) for event in json.loads(body)["events"]))

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
