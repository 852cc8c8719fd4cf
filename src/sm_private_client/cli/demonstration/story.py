"""The story: small steps that do what a user does; every claim they make is tested."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.api import connect
from sm_private_client.cli.demonstration import stage, training
from sm_private_client.cli.demonstration.calls import CALL_THREADS, Calls
from sm_private_client.cli.demonstration.events import Check, Event, Fact, Routes, Step, Summary
from sm_private_client.cli.demonstration.promises import lose_a_zone, turn_public
from sm_private_client.cli.demonstration.scene import (
    HOME_ZONE,
    NAME,
    OTHER_ZONE,
    REGION,
    SERVICES,
    Scene,
    by_zone,
    in_words,
)
from sm_private_client.cli.route_reports import report_on
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

__all__ = ["tell"]

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
    with contextlib.closing(_play(Scene(), on_ready)) as events:
        for event in events:
            if isinstance(event, Check):
                (held if event.held else failed).append(event.claim)
            yield event
    seconds = time.monotonic() - started
    yield Summary(held=len(held), failed=tuple(failed), seconds=seconds)


def _play(
    scene: Scene, on_ready: Callable[[LocalPrivateLink], None] | None
) -> Generator[Event, None, None]:
    steps = (
        ("Train a model, serve it in a process of its own", train),
        ("Deploy it in a VPC that has VPC endpoints for SageMaker", deploy),
        ("connect(): find the private routes", find_routes),
        ("Use the sagemaker client", use_sagemaker),
        ("Invoke the model for every held-out row", invoke),
        ("Promise 1: a zone goes down, calls go on", lose_a_zone),
        ("Promise 2: the name turns public, nothing is sent", turn_public),
    )
    with scene.stack:
        for number, (title, step) in enumerate(steps, 1):
            yield Step(number=number, title=title)
            try:
                yield from step(scene)
            except (BotoCoreError, ClientError, OSError, ValueError) as error:
                found = f"{type(error).__name__}: {error}"
                yield Check(claim=f"step {number} runs to its end", held=False, found=found)
                break
            if step is deploy and on_ready is not None:
                on_ready(scene.link)
    yield Step(number=len(steps) + 1, title="Take it all away")
    yield _left_behind(scene)


def train(scene: Scene) -> Iterator[Event]:
    """Trains the model and has it served in a process of its own."""
    directory = tempfile.TemporaryDirectory(prefix="sm-private-client-demo-")
    scene.directory = place = Path(scene.stack.enter_context(directory))
    artifact = place / "model.pkl"
    scene.model = model = training.train(artifact)
    yield Fact(
        name="trained_on",
        value=model.trained_on,
        text=f"logistic regression on {model.trained_on} rows of the breast-cancer data, "
        f"{len(model.rows)} rows held out",
    )
    scene.server = server = scene.stack.enter_context(stage.serve(artifact))
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


def deploy(scene: Scene) -> Iterator[Event]:
    """Starts the simulator and hosts the model behind an inference endpoint."""
    zones = (HOME_ZONE, OTHER_ZONE)
    scene.link = link = LocalPrivateLink(region=REGION, zones=zones, services=SERVICES)
    scene.stack.enter_context(link)
    scene.stack.enter_context(stage.environment_of(link.environment()))
    if scene.server is not None:
        link.deploy(NAME, scene.server.url)
    scene.session = link.session(availability_zone=HOME_ZONE)
    yield Fact(
        name="vpc",
        value={"vpc_id": link.vpc_id, "region": REGION, "zones": zones},
        text=f"{link.vpc_id} in {REGION}, played on this machine; we are in {HOME_ZONE}",
    )


def find_routes(scene: Scene) -> Iterator[Event]:
    """Connects as a user does, and tells how the services are reached."""
    scene.sagemaker, scene.runtime = connect(session=scene.session)
    for client in (scene.sagemaker, scene.runtime):
        scene.stack.callback(client.close)
    reports = tuple(report_on(scene.session, service) for service in SERVICES)
    yield Routes(reports=reports)
    found = [r.route.vpc_endpoint for r in reports if r.route is not None]
    ids = {v.vpc_endpoint_id for v in found if v is not None}
    standing = {v.vpc_endpoint_id for v in scene.link.vpc_endpoints}
    yield Check(
        claim="the routes lead to the two VPC endpoints that stand",
        held=ids == standing and len(ids) == len(SERVICES),
        found=", ".join(sorted(ids)),
    )
    enis = {i.address for v in scene.link.vpc_endpoints for i in v.interfaces}
    addresses = {a.address for r in reports if r.route is not None for a in r.route.addresses}
    yield Check(
        claim="every address is a network interface of theirs",
        held=addresses == enis and all(r.route and r.route.is_private for r in reports),
        found=", ".join(sorted(addresses)),
    )


def use_sagemaker(scene: Scene) -> Iterator[Event]:
    """Records a training job, and lists what there is."""
    scene.sagemaker.create_training_job(
        TrainingJobName=f"{NAME}-1",
        AlgorithmSpecification={"TrainingImage": "scikit-learn", "TrainingInputMode": "File"},
        RoleArn=f"arn:aws:iam::{scene.link.account_id}:role/demo",
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
        for e in scene.sagemaker.list_endpoints()["Endpoints"]
    }
    jobs = {
        j["TrainingJobName"]: j["TrainingJobStatus"]
        for j in scene.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    }
    yield Fact(name="endpoints", value=hosted, text=f"list_endpoints: {in_words(hosted)}")
    yield Fact(name="training_jobs", value=jobs, text=f"list_training_jobs: {in_words(jobs)}")
    yield Check(
        claim="both lists have what was made",
        held=hosted == {NAME: "InService"} and jobs == {f"{NAME}-1": "Completed"},
    )


def invoke(scene: Scene) -> Iterator[Event]:
    """Sends every held-out row to the model."""
    before = len(scene.link.requests)
    calls = Calls(scene.runtime, NAME, scene.model)
    yield from calls.make()
    total = len(scene.model.rows)
    accuracy = scene.model.accuracy(calls.labels)
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
    zones = by_zone(r.availability_zone for r in scene.link.requests[before:])
    yield Check(
        claim="every call came through a VPC endpoint, in our own zone",
        held=set(zones) == {HOME_ZONE} and zones[HOME_ZONE] >= total,
        found=in_words(zones),
    )


def _left_behind(scene: Scene) -> Check:
    left = [t.name for t in threading.enumerate() if t.name.startswith(_THREAD_NAMES)]
    if scene.server is not None and scene.server.is_running:
        left.append(f"process {scene.server.pid}")
    if scene.directory is not None and scene.directory.exists():
        left.append(str(scene.directory))
    return Check(
        claim="no process, thread or file is left behind", held=not left, found=", ".join(left)
    )
