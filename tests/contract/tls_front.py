#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tls_front.py - a TLS listener on loopback that passes octets to a plain TCP port: python3 tls_front.py CERT KEY PORT PORT_FILE [CLIENT_CA].
With CLIENT_CA it takes only clients with a certificate of that authority. Must not look into what it passes. Ends when its standard input closes."""
import asyncio
import os
import ssl
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def main(cert, key, port, port_file, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)

    async def serve(reader, writer):
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, back_writer), pump(back_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    with open(port_file + ".new", "w", encoding="ascii") as f:
        f.write(f"{server.sockets[0].getsockname()[1]}\n")
    os.rename(port_file + ".new", port_file)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main(*sys.argv[1:6]))
