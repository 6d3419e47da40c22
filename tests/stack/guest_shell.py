#!/usr/bin/python3
"""Runs a command in a test guest over its shell port (tests/guest/guest-shell).

guest_shell.py SOCKET TIMEOUT COMMAND    prints the output, exits with the command's code;
                                         124: no answer in time, 125: nobody listens on the socket
"""
import base64
import fcntl
import os
import socket
import sys
import time
import uuid

NO_ANSWER, NOT_THERE = 124, 125


def connect(path, deadline):
    """QEMU listens from its first moment, so a refusal lasts only while the guest is being restarted."""
    while True:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(path)
            return channel
        except OSError:
            channel.close()
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.05)


def answer_to(channel, request, deadline):
    """Lines that belong to a request whose client is gone are skipped."""
    pending = b""
    while time.monotonic() < deadline:
        channel.settimeout(max(deadline - time.monotonic(), 0.01))
        try:
            data = channel.recv(65536)
        except OSError: # no answer in time, or the guest has just been switched off
            return None
        if not data:
            return None
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            fields = line.split(b" ")
            if fields[0] == request and len(fields) >= 2:
                return int(fields[1]), base64.b64decode(fields[2]) if len(fields) > 2 else b""
    return None


def main():
    path, timeout, command = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    deadline = time.monotonic() + timeout
    # QEMU serves one client at a time: wait for our turn instead of hanging in its backlog. The folder is of this guest alone.
    try:
        lock = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return NOT_THERE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return NO_ANSWER
            time.sleep(0.01)
    channel = connect(path, deadline)
    if channel is None:
        return NOT_THERE
    request = uuid.uuid4().hex.encode()
    channel.sendall(b"\n" + request + b" " + base64.b64encode(command.encode()) + b"\n")
    answer = answer_to(channel, request, deadline)
    if answer is None:
        return NO_ANSWER
    sys.stdout.buffer.write(answer[1])
    return answer[0]


if __name__ == "__main__":
    sys.exit(main())
