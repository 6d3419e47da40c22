#!/usr/bin/python3
"""Waits until a server says that it is ready, as systemd would (sd_notify).

wait_ready.py NAME SECONDS    listens on the socket NAME; prints "listening", then "ready" or "late"
"""
import socket
import sys
import time

channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.bind(sys.argv[1])
print("listening", flush=True)
deadline = time.monotonic() + float(sys.argv[2])
while time.monotonic() < deadline:
    channel.settimeout(max(deadline - time.monotonic(), 0.01))
    try:
        if b"READY=1" in channel.recv(4096).split(b"\n"):
            print("ready", flush=True)
            sys.exit(0)
    except OSError:
        break
print("late", flush=True)
