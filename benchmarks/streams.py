"""Response streams: how soon the first part is there, and what each further one costs."""

from __future__ import annotations

import functools
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.calls import BARE, BareSocket
from benchmarks.measuring import Goal, Sample, take_turns
from benchmarks.ours import BODY, ENDPOINT_NAME, OURS
from benchmarks.server import STREAM_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measuring import Counts, Row
    from benchmarks.site import Site
    from sm_private_client.inference.predictor import Predictor

__all__ = ["stream_rows"]


def _parts(predictor: Predictor) -> Iterator[bytes]:
    with predictor.stream(BODY, content_type="application/json") as stream:
        yield from stream.bytes()


def _client_parts(client: Any) -> Iterator[bytes]:  # noqa: ANN401 - boto3's, made at run time
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName=ENDPOINT_NAME, ContentType="application/json", Body=BODY
    )
    for event in answer["Body"]:
        yield event["PayloadPart"]["Bytes"]


def _read(begin: Callable[[], Iterator[bytes]], streams: int) -> Sample:
    """Read streams and return the medians.

    Returns:
        ``first``: seconds to the first part; ``first cpu``: CPU seconds to it; ``part``: CPU
        seconds for each further one.
    """
    samples: dict[str, list[float]] = {"first": [], "first cpu": [], "part": []}
    for _ in range(streams):
        wall, cpu = time.perf_counter(), time.process_time()
        parts = begin()
        next(parts)
        first_cpu = time.process_time()
        samples["first"].append(time.perf_counter() - wall)
        samples["first cpu"].append(first_cpu - cpu)
        further = sum(1 for _ in parts)
        samples["part"].append((time.process_time() - first_cpu) / further)
        if further != STREAM_PARTS - 1:
            raise ValueError(f"{further + 1} parts came, {STREAM_PARTS} were sent.")
    return {measure: statistics.median(values) for measure, values in samples.items()}


def stream_rows(site: Site, counts: Counts) -> Iterator[Row]:
    """``Predictor.stream`` against boto3's EventStream."""
    bare = BareSocket(site, "invocations-response-stream")
    begin: dict[str, Callable[[], Iterator[bytes]]] = {
        OURS: functools.partial(_parts, site.predictor()),
        BARE: bare.begin,
        "boto3": functools.partial(_client_parts, site.boto3_client()),
    }
    measured = take_turns(
        {name: functools.partial(_read, each, counts.streams) for name, each in begin.items()},
        counts.rounds,
    )
    bare.close()
    row = functools.partial(measured.row, f"stream of {STREAM_PARTS:,} parts", peer="boto3")
    goals = {OURS: (Goal(at_most=1 / 3), Goal(at_most=0.45)), BARE: (None, None)}
    for name, (first, part) in goals.items():
        yield row("first", name, unit="s", measure="first part", goal=first)
        yield row("part", name, unit="CPU s", measure="each part", goal=part)
        yield row("first cpu", name, unit="CPU s", measure="first part, CPU")
