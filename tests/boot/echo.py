"""A server of the user's own (web.command): says who asks, as it was told, and echoes websocket messages."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as reader:
        while reader.readline().strip():
            headers = {}
            while line := reader.readline().decode("latin-1").strip():
                name, value = line.split(":", 1)
                headers[name.lower()] = value.strip()
            if headers.get("upgrade", "").lower() == "websocket":
                key = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest())
                head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                connection.sendall(f"{head}Sec-WebSocket-Accept: {key.decode()}\r\n\r\n".encode())
                while frame := reader.read(6):  # short and masked, as browsers send them
                    size = frame[1] & 127
                    text = bytes(byte ^ frame[2 + i % 4] for i, byte in enumerate(reader.read(size)))
                    connection.sendall(bytes([frame[0], size]) + text)
                return
            body = headers.get("x-forwarded-for", "").encode()
            head = "HTTP/1.1 200 OK\r\nReferrer-Policy: no-referrer\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def main() -> None:
    with socket.socket(fileno=3) as listening:  # the first of LISTEN_FDS
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
