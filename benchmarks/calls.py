"""Calls with one small answer: one thread, 16 threads, and what the guard costs a boto3 client."""

from __future__ import annotations

import functools
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import Goal, Sample, cost_of, take_turns
from benchmarks.ours import BODY, ENDPOINT_NAME, OURS, invoke
from benchmarks.server import ANSWER, STREAM_END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measuring import Counts, Row
    from benchmarks.site import Site

__all__ = ["BARE", "BareSocket", "guard_rows", "one_thread_rows", "thread_rows"]

BARE: Final = "bare TLS socket"
THREADS: Final = 16


class BareSocket:
    """The limit: one request made before, one write, reads until the answer's known end.

    Args:
        site: Whose server is called.
        operation: The end of the path.
    """

    def __init__(self, site: Site, operation: str = "invocations") -> None:
        context = ssl.create_default_context(cafile=site.ca_bundle)
        plain = socket.create_connection(("127.0.0.1", site.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = context.wrap_socket(plain, server_hostname="localhost")
        self._request = (
            f"POST /endpoints/{ENDPOINT_NAME}/{operation} HTTP/1.1\r\n"
            f"Host: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY

    def invoke(self) -> bytes:
        """Call and return all that came."""
        self._sock.sendall(self._request)
        received = self._sock.recv(65_536)
        while not received.endswith(ANSWER):
            received += self._sock.recv(65_536)
        return received

    def begin(self) -> Iterator[bytes]:
        """Begins a stream and return its parts as they are on the wire: one a read."""
        self._sock.sendall(self._request)
        self._sock.recv(65_536)  # the head
        while (received := self._sock.recv(65_536)) != STREAM_END:
            yield received

    def close(self) -> None:
        """End the connection."""
        self._sock.close()


def _invoke_client(client: Any) -> bytes:  # noqa: ANN401 - boto3's clients are made at run time
    answer = client.invoke_endpoint(
        EndpointName=ENDPOINT_NAME, ContentType="application/json", Body=BODY
    )
    body: bytes = answer["Body"].read()
    return body


def one_thread_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """``Predictor.invoke`` against ``invoke_endpoint`` and a bare socket."""
    bare = BareSocket(site)
    calls: dict[str, Callable[[], bytes]] = {
        OURS: functools.partial(invoke, site.predictor()),
        "boto3": functools.partial(_invoke_client, site.boto3_client()),
        BARE: bare.invoke,
    }
    measured = take_turns(
        {name: functools.partial(cost_of, call, counts.calls) for name, call in calls.items()},
        counts.rounds,
    )
    bare.close()
    row = functools.partial(measured.row, "invoke, one thread")
    yield row("cpu", OURS, "boto3", unit="CPU s/call", goal=Goal(at_most=1 / 8))
    yield row("cpu", BARE, "boto3", unit="CPU s/call")
    for name in (OURS, BARE):
        yield row("wall", name, "boto3", unit="s/call", measure="wall")


def thread_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """The same by 16 threads that share a predictor or a client."""
    bare = [BareSocket(site) for _ in range(THREADS)]
    calls: dict[str, list[Callable[[], bytes]]] = {
        OURS: [functools.partial(invoke, site.predictor())] * THREADS,
        "boto3": [functools.partial(_invoke_client, site.boto3_client())] * THREADS,
        BARE: [one.invoke for one in bare],
    }
    with ThreadPoolExecutor(THREADS) as threads:

        def turn(each: list[Callable[[], bytes]]) -> Sample:
            started = time.perf_counter()
            work = [threads.submit(cost_of, call, counts.thread_calls) for call in each]
            for done in work:
                done.result()
            seconds = time.perf_counter() - started
            return {"rate": counts.thread_calls * len(each) / seconds}

        measured = take_turns(
            {name: functools.partial(turn, each) for name, each in calls.items()},
            counts.rounds,
        )
    for one in bare:
        one.close()
    row = functools.partial(measured.row, f"invoke, {THREADS} threads", "rate", unit="calls/s")
    yield row(OURS, "boto3", goal=Goal(at_least=8))
    yield row(BARE, "boto3")


def guard_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """A routed boto3 client against a plain one."""
    routed: Any = site.session().client("sagemaker-runtime")
    clients = {"routed client": routed, "boto3": site.boto3_client()}
    measured = take_turns(
        {
            name: functools.partial(
                cost_of, functools.partial(_invoke_client, client), counts.calls
            )
            for name, client in clients.items()
        },
        counts.rounds,
    )
    row = functools.partial(measured.row, "invoke_endpoint", ours="routed client")
    yield row("cpu", peer="boto3", unit="CPU s/call", goal=Goal(at_most=1.03))
    yield row("wall", peer="boto3", unit="s/call", measure="wall")
