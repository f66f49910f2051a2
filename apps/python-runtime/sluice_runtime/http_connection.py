"""HTTP/1.1 on one connected socket (RFC 9112): requests in, answers out, as many as the other side likes."""

import select
import socket
from typing import Any

_HEAD_LIMIT = 65_536
_CHUNK_LINE_LIMIT = 1_024
_READ_SIZE = 65_536

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Refusal(Exception):
    """A message that cannot be answered on this connection any further than by this status."""

    def __init__(self, status: int, problem: str):
        super().__init__(problem)
        self.status = status


class Gone(Exception):
    """The other side has closed or reset the connection."""


class Request:
    __slots__ = ("method", "path", "headers", "body", "keeps_alive")

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytearray, keeps_alive: bool):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.keeps_alive = keeps_alive


class HttpConnection:
    """The caller uses it from one thread, but for `is_gone`, which any thread may ask."""

    def __init__(self, sock: socket.socket, body_limit: int):
        self._socket = sock
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def wait(self, wake: int) -> bool:
        """Waits for the next request. False when `wake` became readable and no byte of a request is here."""
        if self._buffer:
            return True
        self._poll.register(wake, select.POLLIN)
        while True:
            ready = {number for number, _ in self._poll.poll()}
            if self._socket.fileno() in ready:
                return True
            if wake in ready:
                return False

    def is_gone(self) -> bool:
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def read(self) -> Request:
        """The next request, whole. Raises Refusal for what is no request, and Gone when it was cut off."""
        lines = self._read_head()
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise Refusal(400, "the request line is not HTTP/1.1")
        method, target, protocol = parts
        headers = _headers(lines[1:])
        connection = headers.get("connection", "").lower()
        keeps_alive = connection != "close" if protocol == "HTTP/1.1" else connection == "keep-alive"
        if headers.get("expect", "").lower() == "100-continue":
            self._send([b"HTTP/1.1 100 Continue\r\n\r\n"])
        return Request(method, target.split("?", 1)[0], headers, self._read_body(headers), keeps_alive)

    def answer(self, status: int, headers: dict[str, Any], parts: list[Any]) -> None:
        """Sends one answer whose body is the parts one after the other. Raises Gone."""
        length = sum(len(part) for part in parts)
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"content-length: {length}\r\n\r\n")
        self._send(["\r\n".join(lines).encode("latin-1"), *parts])

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def _send(self, parts: list[Any]) -> None:
        pending = [memoryview(part) for part in parts if len(part) > 0]
        try:
            while pending:
                # The kernel takes a limited number of parts at once.
                sent = self._socket.sendmsg(pending[:512])
                while pending and sent >= len(pending[0]):
                    sent -= len(pending.pop(0))
                if sent > 0:
                    pending[0] = pending[0][sent:]
        except OSError as error:
            raise Gone from error

    def _read_head(self) -> list[str]:
        start = 0
        while True:
            end = self._buffer.find(b"\r\n\r\n", start)
            if end >= 0:
                break
            if len(self._buffer) > _HEAD_LIMIT:
                raise Refusal(431, f"the head of a request may have at most {_HEAD_LIMIT} bytes")
            start = max(0, len(self._buffer) - 3)
            self._receive()
        head = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 4]
        return head.split("\r\n")

    def _read_body(self, headers: dict[str, str]) -> bytearray:
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if coding is not None:
            if length is not None:
                raise Refusal(400, "content-length stands beside transfer-encoding")
            if coding.lower() != "chunked":
                raise Refusal(501, "the only transfer-encoding is chunked")
            return self._read_chunks()
        if length is None:
            return bytearray()
        if not length.isascii() or not length.isdigit():
            raise Refusal(400, "content-length is no number of bytes")
        size = int(length[:20])
        if size > self._body_limit:
            raise self._too_large()
        return self._read_exactly(size)

    def _read_exactly(self, size: int) -> bytearray:
        # A body of its own, from whose start tensors lie aligned; a writable one, since torch wants its memory so.
        body = bytearray(size)
        view = memoryview(body)
        have = min(size, len(self._buffer))
        view[:have] = self._buffer[:have]
        del self._buffer[:have]
        while have < size:
            try:
                received = self._socket.recv_into(view[have:])
            except OSError as error:
                raise Gone from error
            if received == 0:
                raise Gone
            have += received
        return body

    def _read_chunks(self) -> bytearray:
        body = bytearray()
        while True:
            size_text = self._read_line().split(";", 1)[0].strip()
            try:
                size = int(size_text, 16)
            except ValueError:
                raise Refusal(400, "a chunk has no size") from None
            if size < 0 or len(body) + size > self._body_limit:
                raise self._too_large()
            if size == 0:
                break
            body += self._read_exactly(size)
            if self._read_line() != "":
                raise Refusal(400, "a chunk is longer than it says")
        # Trailer fields say nothing here.
        while self._read_line() != "":
            pass
        return body

    def _read_line(self) -> str:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _CHUNK_LINE_LIMIT:
                raise Refusal(400, "a line of a chunked body is too long")
            self._receive()
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 2]
        return line

    def _receive(self) -> None:
        try:
            received = self._socket.recv(_READ_SIZE)
        except OSError as error:
            raise Gone from error
        if received == b"":
            raise Gone
        self._buffer += received

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than the limit of {self._body_limit} bytes")


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if colon == "" or name == "" or name != name.strip():
            raise Refusal(400, "a header field has no name")
        value = value.strip()
        # Two lengths that differ are how requests are smuggled past one another.
        if name in headers and name in ("content-length", "transfer-encoding") and headers[name] != value:
            raise Refusal(400, f"{name} is given twice")
        headers[name] = value
    return headers
