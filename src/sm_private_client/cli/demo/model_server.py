"""A model server with SageMaker's container contract: GET /ping, POST /invocations.

``python -m sm_private_client.cli.demo.model_server MODEL_FILE`` prints its URL and serves until
its standard input ends, so that it never outlives the process that started it.
"""

from __future__ import annotations

import pickle
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["main"]

_CSV = "text/csv"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    model: ClassVar[Any]

    def do_GET(self) -> None:
        self._send(200 if self.path == "/ping" else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != "/invocations":
            self._send(404)
            return
        if self.headers.get_content_type() != _CSV:
            self._send(415, f"send {_CSV}".encode())
            return
        try:
            rows = [[float(v) for v in line.split(",")] for line in body.decode().splitlines()]
            labels = [int(label) for label in self.model.predict(rows)]
        except ValueError as error:
            self._send(400, str(error).encode())
            return
        self._send(200, "".join(f"{label}\n" for label in labels).encode(), _CSV)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _send(self, status: int, body: bytes = b"", content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(model_file: str) -> None:
    """Serve a model, pickled by the process that started this one, until standard input ends."""
    _Handler.model = pickle.loads(Path(model_file).read_bytes())  # noqa: S301 - see above
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        sys.stdin.read()
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
