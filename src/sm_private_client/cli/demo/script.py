"""The story: small steps that do what a user does; every claim they make is tested."""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.api import connect
from sm_private_client.cli.demo.output import Check, Event, Fact, Progress, Routes, Step, Summary
from sm_private_client.cli.demo.setup import (
    HOME_ZONE,
    NAME,
    OTHER_ZONE,
    REGION,
    SERVICES,
    DemoSetup,
    by_zone,
    environment_of,
    in_words,
    serve,
    train,
)
from sm_private_client.cli.route_reports import report_on
from sm_private_client.errors import PublicAddressError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sm_private_client.cli.demo.setup import TrainedModel

__all__ = ["CALL_THREADS", "Calls", "ask", "lose_a_zone", "tell", "turn_public"]

CALL_THREADS: Final = 4


def ask(runtime: Any, endpoint_name: str, row: bytes) -> int:  # noqa: ANN401 - boto3's
    """Asks a hosted model for the label of one row."""
    answer = runtime.invoke_endpoint(EndpointName=endpoint_name, Body=row, ContentType="text/csv")
    return int(answer["Body"].read())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    label: int
    seconds: float


class Calls:
    """One run over the held-out rows.

    Args:
        runtime: The ``sagemaker-runtime`` client; the threads share it.
        endpoint_name: The inference endpoint.
        model: Whose rows are sent, and whose own predictions the answers are compared with.
    """

    def __init__(self, runtime: Any, endpoint_name: str, model: TrainedModel) -> None:  # noqa: ANN401 - boto3's
        self._runtime = runtime
        self._endpoint_name = endpoint_name
        self._model = model
        self._answers: dict[int, _Answer] = {}
        self._seconds = 0.0

    def make(self) -> Iterator[Progress]:
        """Makes all calls; one that fails ends it with its error."""
        total = len(self._model.rows)
        started = time.monotonic()
        with ThreadPoolExecutor(CALL_THREADS, thread_name_prefix="demo-call") as pool:
            calls = {pool.submit(self._one, index): index for index in range(total)}
            try:
                for done, call in enumerate(as_completed(calls), 1):
                    self._answers[calls[call]] = call.result()
                    yield Progress(done=done, total=total)
            finally:
                for call in calls:
                    call.cancel()
        self._seconds = time.monotonic() - started

    @property
    def labels(self) -> tuple[int, ...]:
        """The answers, in the order of the rows."""
        return tuple(self._answers[index].label for index in range(len(self._model.rows)))

    @property
    def right(self) -> int:
        """How many answers are what the model says without a network."""
        return sum(a == b for a, b in zip(self.labels, self._model.predictions, strict=True))

    @property
    def per_second(self) -> float:
        """Calls per second, all threads together."""
        return len(self._answers) / self._seconds

    @property
    def slowest(self) -> float:
        """Seconds of the slowest call."""
        return max(answer.seconds for answer in self._answers.values())

    @property
    def median(self) -> float:
        """Seconds of the call in the middle."""
        return statistics.median(answer.seconds for answer in self._answers.values())

    def _one(self, index: int) -> _Answer:
        started = time.monotonic()
        label = ask(self._runtime, self._endpoint_name, self._model.rows[index])
        return _Answer(label=label, seconds=time.monotonic() - started)


PUBLIC_ADDRESS: Final = "52.46.128.200"
"""In AWS's public range; nothing is sent there, the simulator only tells it in DNS."""

SLOWEST_CALL: Final = 5.0
"""Seconds; a dead zone costs about one, and a retry's pause about one more."""

SLOWEST_REFUSAL: Final = 2.0
"""Seconds; refusing takes one look-up, and waits for nobody."""


def lose_a_zone(setup: DemoSetup) -> Iterator[Event]:
    """Takes our own zone down in the middle of the calls."""
    before, total = len(setup.link.requests), len(setup.model.rows)
    calls, cut = Calls(setup.runtime, NAME, setup.model), total // 3
    with contextlib.ExitStack() as down:
        for progress in calls.make():
            yield progress
            if progress.done == cut:
                # Packets vanish: the hardest way to go, since nothing says so.
                down.enter_context(setup.link.faults.zone(HOME_ZONE, how="swallow"))
    zones = by_zone(r.availability_zone for r in setup.link.requests[before:])
    yield Fact(
        name="zone_down",
        value={"zone": HOME_ZONE, "after_calls": cut, "slowest_call": round(calls.slowest, 2)},
        text=f"{HOME_ZONE} swallows every packet after call {cut}; slowest call "
        f"{calls.slowest:.1f} s, median {calls.median * 1000:.0f} ms",
    )
    yield Check(
        claim="every call was answered, and rightly",
        held=calls.right == total,
        found=f"{calls.right} of {total}",
    )
    # What was under way at the cut may have reached the zone, and be counted there.
    yield Check(
        claim=f"{OTHER_ZONE} took over",
        held=zones.get(OTHER_ZONE, 0) >= total - cut - 2 * CALL_THREADS,
        found=in_words(zones),
    )
    yield Check(
        claim=f"no call took longer than {SLOWEST_CALL:g} s",
        held=calls.slowest <= SLOWEST_CALL,
        found=f"{calls.slowest:.1f} s",
    )


def turn_public(setup: DemoSetup) -> Iterator[Event]:
    """Has the runtime's name resolve to a public address, and calls."""
    link = setup.link
    link.faults.dns("sagemaker-runtime", PUBLIC_ADDRESS)
    setup.cut_connections()  # a new connection needs a new look-up
    dialled, inside = len(link.network.dialled), setup.bytes_inside()
    started = time.monotonic()
    refused: PublicAddressError | None = None
    said = "the call was answered"
    try:
        ask(setup.runtime, NAME, setup.model.rows[0])
    except PublicAddressError as error:
        refused, said = error, str(error).partition("\n")[0]
    seconds = time.monotonic() - started
    yield Fact(name="refusal", value=said, text=said)
    yield Check(
        claim="the call is refused with PublicAddressError, at once",
        held=refused is not None
        and refused.address == PUBLIC_ADDRESS
        and seconds <= SLOWEST_REFUSAL,
        found=f"after {seconds * 1000:.0f} ms",
    )
    yield Check(
        claim="that call dialled nothing and sent not a byte, inside or outside",
        held=(len(link.network.dialled), setup.bytes_inside()) == (dialled, inside),
        found=f"{len(link.network.dialled) - dialled} connections, "
        f"{setup.bytes_inside() - inside} bytes",
    )
    internet = link.internet
    yield Check(
        claim="the public address has received nothing since the demo began",
        held=(internet.connections, internet.bytes_received) == (0, 0),
        found=f"{internet.connections} connections, {internet.bytes_received} bytes",
    )
    sent = _bytes_with_the_guard_off(setup)
    yield Check(
        claim="its counter works: with the guard switched off the same call arrives there",
        held=sent > 0,
        found=f"{sent:,} bytes",
    )


def _bytes_with_the_guard_off(setup: DemoSetup) -> int:
    # The default host, because the listener's certificate is for AWS's public names.
    session = setup.link.session(on_public_route="warn")
    runtime = session.client(
        "sagemaker-runtime",
        endpoint_url=f"https://runtime.sagemaker.{REGION}.amazonaws.com",
    )
    with _unheard_warnings(), contextlib.closing(runtime):
        ask(runtime, NAME, setup.model.rows[0])
    return setup.link.internet.bytes_received


@contextlib.contextmanager
def _unheard_warnings() -> Iterator[None]:
    """Keeps the warning that the guard is off, which is meant here, off an unconfigured stderr."""
    logger, handler = logging.getLogger("sm_private_client"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


GOOD_ACCURACY: Final = 0.9
_THREAD_NAMES: Final = ("private-link", "demo-call")


def tell(
    *, started: float, on_ready: Callable[[LocalPrivateLink], None] | None = None
) -> Generator[Event, None, None]:
    """Plays it, event by event; when it ends, or is closed, nothing is left behind.

    Args:
        started: When it began, in monotonic seconds; loading it counts too.
        on_ready: Called with the simulator once it runs; for those who want to disturb it.
    """
    held: list[str] = []
    failed: list[str] = []
    with contextlib.closing(_play(DemoSetup(), on_ready)) as events:
        for event in events:
            if isinstance(event, Check):
                (held if event.held else failed).append(event.claim)
            yield event
    seconds = time.monotonic() - started
    yield Summary(held=len(held), failed=tuple(failed), seconds=seconds)


def _play(
    setup: DemoSetup, on_ready: Callable[[LocalPrivateLink], None] | None
) -> Generator[Event, None, None]:
    steps = (
        ("Train a model, serve it in a process of its own", train_and_serve),
        ("Deploy it in a VPC that has VPC endpoints for SageMaker", deploy),
        ("connect(): find the private routes", find_routes),
        ("Use the sagemaker client", use_sagemaker),
        ("Invoke the model for every held-out row", invoke),
        ("Promise 1: a zone goes down, calls go on", lose_a_zone),
        ("Promise 2: the name turns public, nothing is sent", turn_public),
    )
    with setup.stack:
        for number, (title, step) in enumerate(steps, 1):
            yield Step(number=number, title=title)
            try:
                yield from step(setup)
            except (BotoCoreError, ClientError, OSError, ValueError) as error:
                found = f"{type(error).__name__}: {error}"
                yield Check(claim=f"step {number} runs to its end", held=False, found=found)
                break
            if step is deploy and on_ready is not None:
                on_ready(setup.link)
    yield Step(number=len(steps) + 1, title="Take it all away")
    yield _left_behind(setup)


def train_and_serve(setup: DemoSetup) -> Iterator[Event]:
    """Trains the model and has it served in a process of its own."""
    directory = tempfile.TemporaryDirectory(prefix="sm-private-client-demo-")
    setup.directory = place = Path(setup.stack.enter_context(directory))
    artifact = place / "model.pkl"
    setup.model = model = train(artifact)
    yield Fact(
        name="trained_on",
        value=model.trained_on,
        text=f"logistic regression on {model.trained_on} rows of the breast-cancer data, "
        f"{len(model.rows)} rows held out",
    )
    setup.server = server = setup.stack.enter_context(serve(artifact))
    yield Fact(
        name="model_server",
        value={"url": server.url, "pid": server.pid},
        text=f"GET /ping and POST /invocations at {server.url}",
    )
    yield Check(
        claim="the model runs in a separate process",
        held=server.is_running and server.pid != os.getpid(),
        found=f"{server.pid}, this one is {os.getpid()}",
    )


def deploy(setup: DemoSetup) -> Iterator[Event]:
    """Starts the simulator and hosts the model behind an inference endpoint."""
    zones = (HOME_ZONE, OTHER_ZONE)
    setup.link = link = LocalPrivateLink(region=REGION, zones=zones, services=SERVICES)
    setup.stack.enter_context(link)
    setup.stack.enter_context(environment_of(link.environment()))
    if setup.server is not None:
        link.deploy(NAME, setup.server.url)
    setup.session = link.session(availability_zone=HOME_ZONE)
    yield Fact(
        name="vpc",
        value={"vpc_id": link.vpc_id, "region": REGION, "zones": zones},
        text=f"{link.vpc_id} in {REGION}, played on this machine; we are in {HOME_ZONE}",
    )


def find_routes(setup: DemoSetup) -> Iterator[Event]:
    """Connects as a user does, and tells how the services are reached."""
    setup.sagemaker, setup.runtime = connect(session=setup.session)
    for client in (setup.sagemaker, setup.runtime):
        setup.stack.callback(client.close)
    reports = tuple(report_on(setup.session, service) for service in SERVICES)
    yield Routes(reports=reports)
    found = [r.route.vpc_endpoint for r in reports if r.route is not None]
    ids = {v.vpc_endpoint_id for v in found if v is not None}
    standing = {v.vpc_endpoint_id for v in setup.link.vpc_endpoints}
    yield Check(
        claim="the routes lead to the two VPC endpoints that stand",
        held=ids == standing and len(ids) == len(SERVICES),
        found=", ".join(sorted(ids)),
    )
    enis = {i.address for v in setup.link.vpc_endpoints for i in v.interfaces}
    addresses = {a.address for r in reports if r.route is not None for a in r.route.addresses}
    yield Check(
        claim="every address is a network interface of theirs",
        held=addresses == enis and all(r.route and r.route.is_private for r in reports),
        found=", ".join(sorted(addresses)),
    )


def use_sagemaker(setup: DemoSetup) -> Iterator[Event]:
    """Records a training job, and lists what there is."""
    setup.sagemaker.create_training_job(
        TrainingJobName=f"{NAME}-1",
        AlgorithmSpecification={"TrainingImage": "scikit-learn", "TrainingInputMode": "File"},
        RoleArn=f"arn:aws:iam::{setup.link.account_id}:role/demo",
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
        for e in setup.sagemaker.list_endpoints()["Endpoints"]
    }
    jobs = {
        j["TrainingJobName"]: j["TrainingJobStatus"]
        for j in setup.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    }
    yield Fact(name="endpoints", value=hosted, text=f"list_endpoints: {in_words(hosted)}")
    yield Fact(name="training_jobs", value=jobs, text=f"list_training_jobs: {in_words(jobs)}")
    yield Check(
        claim="both lists have what was made",
        held=hosted == {NAME: "InService"} and jobs == {f"{NAME}-1": "Completed"},
    )


def invoke(setup: DemoSetup) -> Iterator[Event]:
    """Sends every held-out row to the model."""
    before = len(setup.link.requests)
    calls = Calls(setup.runtime, NAME, setup.model)
    yield from calls.make()
    total = len(setup.model.rows)
    accuracy = setup.model.accuracy(calls.labels)
    yield Fact(
        name="accuracy",
        value=round(accuracy, 4),
        text=f"accuracy {accuracy:.1%} over {total} calls of invoke_endpoint",
    )
    yield Fact(
        name="calls_per_second",
        value=round(calls.per_second),
        text=f"{calls.per_second:.0f} calls per second by {CALL_THREADS} threads (client, TLS "
        "server and API front share this one process)",
    )
    yield Check(
        claim="every answer is the model's own",
        held=calls.right == total,
        found=f"{calls.right} of {total} equal what it says without a network",
    )
    yield Check(
        claim=f"the accuracy is at least {GOOD_ACCURACY:.0%}",
        held=accuracy >= GOOD_ACCURACY,
        found=f"{accuracy:.1%}",
    )
    zones = by_zone(r.availability_zone for r in setup.link.requests[before:])
    yield Check(
        claim="every call came through a VPC endpoint, in our own zone",
        held=set(zones) == {HOME_ZONE} and zones[HOME_ZONE] >= total,
        found=in_words(zones),
    )


def _left_behind(setup: DemoSetup) -> Check:
    left = [t.name for t in threading.enumerate() if t.name.startswith(_THREAD_NAMES)]
    if setup.server is not None and setup.server.is_running:
        left.append(f"process {setup.server.pid}")
    if setup.directory is not None and setup.directory.exists():
        left.append(str(setup.directory))
    return Check(
        claim="no process, thread or file is left behind", held=not left, found=", ".join(left)
    )
