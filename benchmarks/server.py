"""The server that every client calls: canned answers over TLS, in a process of its own.

One thread and one selector: it judges nothing, so that what is measured is the clients. It ends
when its standard input does, and so never outlives the run.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import ssl
import sys
import time
from typing import Final

from sm_private_client.testing.response_streams import CONTENT_TYPE, encode_event

__all__ = ["ANSWER", "STREAM_END", "STREAM_PARTS", "main"]

ANSWER: Final = b'{"predictions": [{"score": 0.7310585786300049, "label": "stays"}]}'
"""The payload of every answer that is not a stream."""

STREAM_PARTS: Final = 1_000
"""Parts of every stream, each an event, an HTTP chunk and a write of its own, as tokens come."""

STREAM_PATH: Final = b"/invocations-response-stream "

_TOKEN: Final = b'{"token": {"id": 2049, "text": " word", "logprob": -0.25}}\n'
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_READ: Final = 65_536
_PAUSE: Final = 0.005  # seconds after the first part, in which only its reader has work
_PATIENCE: Final = 30.0  # seconds for a client that reads or shakes hands slowly


def _head(content_type: str, *more: str) -> bytes:
    lines = (
        "HTTP/1.1 200 OK",
        "x-Amzn-RequestId: 8f4fbc3f-1b0e-4f56-9a53-7a3e4a6f2f11",
        "x-Amzn-Invoked-Production-Variant: AllTraffic",
        "Date: Mon, 02 Nov 2026 10:00:00 GMT",
        f"Content-Type: {content_type}",
        *more,
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


_WHOLE: Final = _head("application/json", f"Content-Length: {len(ANSWER)}") + ANSWER
_STREAM_HEAD: Final = _head(
    CONTENT_TYPE,
    "X-Amzn-SageMaker-Content-Type: application/jsonlines",
    "Transfer-Encoding: chunked",
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_END: Final = _chunk(b"")
"""What the last read of a stream ends with."""

_PART: Final = _chunk(encode_event("PayloadPart", _TOKEN))


class _Connection:
    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._received = b""

    def serve(self) -> bool:
        """Answer what has come; ``False`` once the client has gone."""
        while True:
            data = self._sock.recv(_READ)
            if not data:
                return False
            self._received += data
            while self._answer():
                pass
            if not self._sock.pending():
                return True

    def _answer(self) -> bool:
        """Answer one request if it has come whole."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._received[:end]
        length = _LENGTH.search(head)
        end += 4 + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return False
        self._received = self._received[end:]
        if STREAM_PATH in head.partition(b"\r\n")[0]:
            self._stream()
        else:
            self._sock.sendall(_WHOLE)
        return True

    def _stream(self) -> None:
        self._sock.sendall(_STREAM_HEAD)
        self._sock.sendall(_PART)
        time.sleep(_PAUSE)
        for _ in range(STREAM_PARTS - 1):
            self._sock.sendall(_PART)
        self._sock.sendall(STREAM_END)

    def close(self) -> None:
        self._sock.close()


def _accept(listener: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket | None:
    plain, _ = listener.accept()
    plain.settimeout(_PATIENCE)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_side=True)
    except OSError:  # a client that went away, or does not trust us
        plain.close()
        return None


def _serve(listener: socket.socket, context: ssl.SSLContext) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    secured = _accept(listener, context)
                    if secured is not None:
                        selector.register(secured, selectors.EVENT_READ, _Connection(secured))
                    continue
                stays = False
                with contextlib.suppress(OSError):
                    stays = key.data.serve()
                if not stays:
                    selector.unregister(key.fileobj)
                    key.data.close()


def main(certificate: str) -> None:
    """Serve on a free port of 127.0.0.1, which it prints, until standard input ends.

    Args:
        certificate: Path of the private key and certificate chain, as PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        _serve(listener, context)


if __name__ == "__main__":
    main(sys.argv[1])
