#!/usr/bin/python3
"""Passes TCP connections through the file system, which network namespaces share: the only way out of one that has no other.

relay.py in FOLDER PORT...     inside: listens on 127.0.0.1:PORT, and passes each connection to FOLDER/PORT
relay.py out FOLDER PORT...    outside: listens on FOLDER/PORT, and passes each connection to 127.0.0.1:PORT
"""
import asyncio
import os
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


def passing_to(connect):
    async def serve(reader, writer):
        try:
            far_reader, far_writer = await connect()
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return serve


async def main():
    side, folder, ports = sys.argv[1], sys.argv[2], sys.argv[3:]
    servers = []
    for port in ports:
        path = os.path.join(folder, port)
        if side == "in":
            servers.append(await asyncio.start_server(passing_to(lambda path=path: asyncio.open_unix_connection(path)), "127.0.0.1", int(port)))
        else:
            if os.path.exists(path):
                os.unlink(path)
            servers.append(await asyncio.start_unix_server(passing_to(lambda port=port: asyncio.open_connection("127.0.0.1", int(port))), path))
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
