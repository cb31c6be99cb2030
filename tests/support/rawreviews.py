"""A bare HTTPS client that sends a webhook what it likes, when it likes. It blocks."""

import json
import socket
import ssl
from typing import Any


class RawClient:
    """One TLS connection to a webhook on this machine; its certificate is not checked."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.connection = context.wrap_socket(plain)

    def send(self, data: bytes) -> None:
        """Send bytes as they are; a peer that has answered and gone is no error."""
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return

    def head(self, *lines: str) -> None:
        """Send the head of a POST of JSON, with these further lines."""
        fixed = ("POST /validate HTTP/1.1", "Host: x", "Content-Type: application/json")
        self.send("\r\n".join((*fixed, *lines, "", "")).encode())

    def answer(self) -> tuple[int, str]:
        """Read one answer: its status and its body. An empty one has the status 0."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.connection.recv(65536)
            if not more:
                return 0, ""
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        lengths = [one for one in lines if one.lower().startswith("content-length:")]
        while len(body) < int(lengths[0].partition(":")[2]):
            body += self.connection.recv(65536)
        return int(lines[0].split()[1]), body.decode()

    def close(self) -> None:
        """End the connection."""
        self.connection.close()


def ask(port: int, body: bytes | dict[str, Any]) -> tuple[int, str]:
    """Send one review over a connection of its own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = RawClient(port)
    try:
        client.head(f"Content-Length: {len(data)}")
        client.send(data)
        return client.answer()
    finally:
        client.close()
