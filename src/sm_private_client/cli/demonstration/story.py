"""The story: small steps that do what a user does, and test every claim they make."""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.cli.demonstration import stage, training
from sm_private_client.cli.demonstration.events import (
    Check,
    Event,
    Fact,
    Progress,
    Routes,
    Step,
    Summary,
)
from sm_private_client.cli.route_reports import report_on
from sm_private_client.errors import PublicAddressError
from sm_private_client.front import connect
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sm_private_client.session import Session
    from sm_private_client.testing.records import RequestRecord

__all__ = ["Story"]

NAME: Final = "breast-cancer"
REGION: Final = "us-east-1"
HOME_ZONE: Final = "us-east-1a"
OTHER_ZONE: Final = "us-east-1b"
SERVICES: Final = ("sagemaker", "sagemaker-runtime")
PUBLIC_ADDRESS: Final = "52.46.128.200"
"""In AWS's public range; nothing is sent there, the simulator only tells it in DNS."""

CALL_THREADS: Final = 4
GOOD_ACCURACY: Final = 0.9
SLOWEST_CALL: Final = 5.0
"""Seconds; a dead zone costs about one, and a retry's pause about one more."""

SLOWEST_REFUSAL: Final = 5.0
"""Seconds; no wait is involved, only a retry's pause where a connection was cut."""

_THREAD_NAMES: Final = ("private-link", "demo-call")


class Story:
    """One demonstration; ``tell`` it once.

    Args:
        started: When it began, in monotonic seconds; loading it counts too.
        on_ready: Called with the simulator once it runs; for those who want to disturb it.
    """

    def __init__(
        self, *, started: float, on_ready: Callable[[LocalPrivateLink], None] | None = None
    ) -> None:
        self._started = started
        self._on_ready = on_ready
        self._held = 0
        self._failed: list[str] = []
        self._stack = contextlib.ExitStack()
        self._directory: Path | None = None
        self._model: training.TrainedModel
        self._server: stage.ModelServer | None = None
        self._link: LocalPrivateLink
        self._session: Session
        self._sagemaker: Any
        self._runtime: Any
        self._answers: dict[int, tuple[int, float]] = {}

    def tell(self) -> Generator[Event, None, None]:
        """Plays it, event by event; when it ends, or is closed, nothing is left behind."""
        with self._stack:
            for number, (title, step) in enumerate(
                (
                    ("Train a model, serve it in a process of its own", self._train),
                    ("Deploy it in a VPC that has VPC endpoints for SageMaker", self._deploy),
                    ("connect(): find the private routes", self._find_routes),
                    ("Use the sagemaker client", self._use_sagemaker),
                    ("Invoke the model for every held-out row", self._invoke),
                    ("Promise 1: a zone goes down, calls go on", self._lose_a_zone),
                    ("Promise 2: the name turns public, nothing is sent", self._turn_public),
                ),
                1,
            ):
                yield Step(number=number, title=title)
                try:
                    yield from step()
                except (BotoCoreError, ClientError, OSError, ValueError) as error:
                    found = f"{type(error).__name__}: {error}"
                    yield self._check(f"step {number} runs to its end", held=False, found=found)
                    break
        yield Step(number=number + 1, title="Take it all away")
        yield self._left_behind()
        seconds = time.monotonic() - self._started
        yield Summary(held=self._held, failed=tuple(self._failed), seconds=seconds)

    # The steps

    def _train(self) -> Iterator[Event]:
        directory = tempfile.TemporaryDirectory(prefix="sm-private-client-demo-")
        self._directory = place = Path(self._stack.enter_context(directory))
        artifact = place / "model.pkl"
        self._model = model = training.train(artifact)
        yield Fact(
            name="trained_on",
            value=model.trained_on,
            text=f"logistic regression on {model.trained_on} rows of the breast-cancer data, "
            f"{len(model.rows)} rows held out",
        )
        self._server = server = self._stack.enter_context(stage.serve(artifact))
        yield Fact(
            name="model_server",
            value={"url": server.url, "pid": server.pid},
            text=f"GET /ping and POST /invocations at {server.url}",
        )
        yield self._check(
            "the model runs in a separate process",
            held=server.is_running and server.pid != os.getpid(),
            found=f"{server.pid}, this one is {os.getpid()}",
        )

    def _deploy(self) -> Iterator[Event]:
        zones = (HOME_ZONE, OTHER_ZONE)
        self._link = link = LocalPrivateLink(region=REGION, zones=zones, services=SERVICES)
        self._stack.enter_context(link)
        self._stack.enter_context(stage.environment_of(link.environment()))
        if self._server is not None:
            link.deploy(NAME, self._server.url)
        self._session = link.session(availability_zone=HOME_ZONE)
        if self._on_ready is not None:
            self._on_ready(link)
        yield Fact(
            name="vpc",
            value={"vpc_id": link.vpc_id, "region": REGION, "zones": zones},
            text=f"{link.vpc_id} in {REGION}, played on this machine; we are in {HOME_ZONE}",
        )

    def _find_routes(self) -> Iterator[Event]:
        self._sagemaker, self._runtime = connect(session=self._session)
        for client in (self._sagemaker, self._runtime):
            self._stack.callback(client.close)
        reports = tuple(report_on(self._session, service) for service in SERVICES)
        yield Routes(reports=reports)
        found = [r.route.vpc_endpoint for r in reports if r.route is not None]
        ids = {v.vpc_endpoint_id for v in found if v is not None}
        standing = {v.vpc_endpoint_id for v in self._link.vpc_endpoints}
        yield self._check(
            "the routes lead to the two VPC endpoints that stand",
            held=ids == standing and len(ids) == len(SERVICES),
            found=", ".join(sorted(ids)),
        )
        enis = {i.address for v in self._link.vpc_endpoints for i in v.interfaces}
        addresses = {a.address for r in reports if r.route is not None for a in r.route.addresses}
        yield self._check(
            "every address is a network interface of theirs",
            held=addresses == enis and all(r.route and r.route.is_private for r in reports),
            found=", ".join(sorted(addresses)),
        )

    def _use_sagemaker(self) -> Iterator[Event]:
        self._sagemaker.create_training_job(
            TrainingJobName=f"{NAME}-1",
            AlgorithmSpecification={"TrainingImage": "scikit-learn", "TrainingInputMode": "File"},
            RoleArn=f"arn:aws:iam::{self._link.account_id}:role/demo",
            OutputDataConfig={"S3OutputPath": f"s3://{NAME}/models"},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        hosted = {
            e["EndpointName"]: e["EndpointStatus"]
            for e in self._sagemaker.list_endpoints()["Endpoints"]
        }
        jobs = {
            j["TrainingJobName"]: j["TrainingJobStatus"]
            for j in self._sagemaker.list_training_jobs()["TrainingJobSummaries"]
        }
        yield Fact(name="endpoints", value=hosted, text=f"list_endpoints: {_pairs(hosted)}")
        yield Fact(name="training_jobs", value=jobs, text=f"list_training_jobs: {_pairs(jobs)}")
        yield self._check(
            "both lists have what was made",
            held=hosted == {NAME: "InService"} and jobs == {f"{NAME}-1": "Completed"},
        )

    def _invoke(self) -> Iterator[Event]:
        before = len(self._link.requests)
        started = time.monotonic()
        yield from self._call_every_row()
        seconds = time.monotonic() - started
        count = len(self._answers)
        accuracy = self._model.accuracy(self._labels())
        yield Fact(
            name="accuracy",
            value=round(accuracy, 4),
            text=f"accuracy {accuracy:.1%} over {count} calls of invoke_endpoint",
        )
        yield Fact(
            name="calls_per_second",
            value=round(count / seconds),
            text=f"{count / seconds:,.0f} calls per second by {CALL_THREADS} threads (client, "
            "TLS server and API front share this one process)",
        )
        yield self._check(
            "every answer is the model's own",
            held=self._labels() == self._model.predictions,
            found=f"{self._same()} of {count} equal what it says without a network",
        )
        yield self._check(
            f"the accuracy is at least {GOOD_ACCURACY:.0%}",
            held=accuracy >= GOOD_ACCURACY,
            found=f"{accuracy:.1%}",
        )
        by_zone = _by_zone(self._link.requests[before:])
        yield self._check(
            "every call came through a VPC endpoint, in our own zone",
            held=set(by_zone) == {HOME_ZONE} and by_zone[HOME_ZONE] >= count,
            found=_pairs(by_zone),
        )

    def _lose_a_zone(self) -> Iterator[Event]:
        before = len(self._link.requests)
        # Packets vanish: the hardest way to go, since nothing says so.
        with contextlib.ExitStack() as down:
            cut = len(self._model.rows) // 3
            for event in self._call_every_row():
                yield event
                if event.done == cut:
                    down.enter_context(self._link.faults.zone(HOME_ZONE, how="swallow"))
        by_zone = _by_zone(self._link.requests[before:])
        seconds = sorted(s for _, s in self._answers.values())
        yield Fact(
            name="zone_down",
            value={"zone": HOME_ZONE, "after_calls": cut, "slowest_call": round(seconds[-1], 2)},
            text=f"{HOME_ZONE} swallows every packet after call {cut}; slowest call "
            f"{seconds[-1]:.1f} s, median {statistics.median(seconds) * 1000:.0f} ms",
        )
        yield self._check(
            "every call was answered, and rightly",
            held=self._labels() == self._model.predictions,
            found=f"{self._same()} of {len(self._model.rows)}",
        )
        yield self._check(
            f"{OTHER_ZONE} took over",
            held=by_zone.get(OTHER_ZONE, 0) >= len(self._model.rows) - cut - 2 * CALL_THREADS,
            found=_pairs(by_zone),
        )
        yield self._check(
            f"no call took longer than {SLOWEST_CALL:g} s",
            held=seconds[-1] <= SLOWEST_CALL,
            found=f"{seconds[-1]:.1f} s",
        )

    def _turn_public(self) -> Iterator[Event]:
        link = self._link
        link.faults.dns("sagemaker-runtime", PUBLIC_ADDRESS)
        for interface in link.vpc_endpoint("sagemaker-runtime").interfaces:
            interface.listener.reset_connections()  # a new connection is needed, a new look-up
        dialled, inside = len(link.network.dialled), self._bytes_inside()
        started = time.monotonic()
        refused: PublicAddressError | None = None
        said = "the call was answered"
        try:
            self._ask(0)
        except PublicAddressError as error:
            refused, said = error, str(error).partition("\n")[0]
        seconds = time.monotonic() - started
        yield Fact(name="refusal", value=said, text=said)
        yield self._check(
            "the call is refused with PublicAddressError, at once",
            held=refused is not None
            and refused.address == PUBLIC_ADDRESS
            and seconds <= SLOWEST_REFUSAL,
            found=f"after {seconds * 1000:.0f} ms",
        )
        yield self._check(
            "that call dialled nothing and sent not a byte, inside or outside",
            held=(len(link.network.dialled), self._bytes_inside()) == (dialled, inside),
            found=f"{len(link.network.dialled) - dialled} connections, "
            f"{self._bytes_inside() - inside} bytes",
        )
        internet = link.internet
        yield self._check(
            "the public address has received nothing since the demo began",
            held=(internet.connections, internet.bytes_received) == (0, 0),
            found=f"{internet.connections} connections, {internet.bytes_received} bytes",
        )
        sent = self._bytes_with_the_guard_off()
        yield self._check(
            "its counter works: with the guard switched off the same call arrives there",
            held=sent > 0,
            found=f"{sent:,} bytes",
        )

    # What the steps use

    def _check(self, claim: str, *, held: bool, found: str = "") -> Check:
        if held:
            self._held += 1
        else:
            self._failed.append(claim)
        return Check(claim=claim, held=held, found=found)

    def _ask(self, index: int, runtime: Any = None) -> tuple[int, float]:  # noqa: ANN401 - boto3's
        started = time.monotonic()
        answer = (runtime or self._runtime).invoke_endpoint(
            EndpointName=NAME, Body=self._model.rows[index], ContentType="text/csv"
        )
        label = int(answer["Body"].read())
        return label, time.monotonic() - started

    def _call_every_row(self) -> Iterator[Progress]:
        total = len(self._model.rows)
        self._answers = {}
        with ThreadPoolExecutor(CALL_THREADS, thread_name_prefix="demo-call") as pool:
            calls = {pool.submit(self._ask, index): index for index in range(total)}
            try:
                for done, call in enumerate(as_completed(calls), 1):
                    self._answers[calls[call]] = call.result()
                    yield Progress(done=done, total=total)
            finally:
                for call in calls:
                    call.cancel()

    def _labels(self) -> tuple[int, ...]:
        return tuple(self._answers[index][0] for index in range(len(self._model.rows)))

    def _same(self) -> int:
        pairs = zip(self._labels(), self._model.predictions, strict=True)
        return sum(label == prediction for label, prediction in pairs)

    def _bytes_inside(self) -> int:
        interfaces = [i for v in self._link.vpc_endpoints for i in v.interfaces]
        return sum(interface.listener.bytes_received for interface in interfaces)

    def _bytes_with_the_guard_off(self) -> int:
        # The default host, because the listener's certificate is for AWS's public names.
        session = self._link.session(on_public_route="warn")
        runtime = session.client(
            "sagemaker-runtime",
            endpoint_url=f"https://runtime.sagemaker.{REGION}.amazonaws.com",
        )
        with _unheard_warnings(), contextlib.closing(runtime):
            self._ask(0, runtime)
        return self._link.internet.bytes_received

    def _left_behind(self) -> Check:
        left = [t.name for t in threading.enumerate() if t.name.startswith(_THREAD_NAMES)]
        if self._server is not None and self._server.is_running:
            left.append(f"process {self._server.pid}")
        if self._directory is not None and self._directory.exists():
            left.append(str(self._directory))
        return self._check(
            "no process, thread or file is left behind",
            held=not left,
            found=", ".join(left),
        )


@contextlib.contextmanager
def _unheard_warnings() -> Iterator[None]:
    """Keeps the warning that the guard is off, which is meant here, off an unconfigured stderr."""
    logger, handler = logging.getLogger("sm_private_client"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _by_zone(requests: tuple[RequestRecord, ...]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for request in requests:
        zone = request.availability_zone or "the internet"
        counted[zone] = counted.get(zone, 0) + 1
    return counted


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items())) or "nothing"
