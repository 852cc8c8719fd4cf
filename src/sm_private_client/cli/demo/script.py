"""The script of the demonstration: what a user does, step by step; every claim is tested."""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.api import connect
from sm_private_client.cli.demo.setup import environment_of, serve, train
from sm_private_client.cli.route_reports import report_on
from sm_private_client.errors import PublicAddressError
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from sm_private_client.cli.demo.output import Output
    from sm_private_client.types import BotoClient

__all__ = ["Demo"]

_NAME: Final = "breast-cancer"
_REGION: Final = "us-east-1"
_HOME_ZONE: Final = "us-east-1a"
_OTHER_ZONE: Final = "us-east-1b"
_SERVICES: Final = ("sagemaker", "sagemaker-runtime")
_THREADS: Final = 4
_GOOD_ACCURACY: Final = 0.9

_PUBLIC_ADDRESS: Final = "52.46.128.200"
"""In AWS's public range; nothing is sent there, the simulator only has it in DNS."""

_SLOWEST_CALL: Final = 5.0
"""Seconds; a dead zone costs about one, and a retry's pause about one more."""

_SLOWEST_REFUSAL: Final = 2.0
"""Seconds; refusing takes one look-up, and waits for nobody."""

_THREAD_NAMES: Final = ("private-link", "demo-call")


class Demo:
    """The demonstration; each step adds to what is there.

    Args:
        output: Shows it.
        on_ready: Called with the simulator once it runs; for tests that disturb it.
    """

    def __init__(
        self, output: Output, on_ready: Callable[[LocalPrivateLink], None] | None = None
    ) -> None:
        self._fact, self._check, self._output = output.fact, output.check, output
        self._on_ready = on_ready
        self._stack = contextlib.ExitStack()
        self._server: subprocess.Popen[str] | None = None

    def play(self) -> None:
        """Play all steps, and leave nothing behind, whatever happens."""
        directory = tempfile.TemporaryDirectory(prefix="sm-private-client-demo-")
        with self._stack:
            self._directory = Path(self._stack.enter_context(directory))
            for title, step in (
                ("Train a model, serve it in a process of its own", self._train_and_serve),
                ("Deploy it in a VPC that has VPC endpoints for SageMaker", self._deploy),
                ("connect(): find the private routes", self._find_routes),
                ("Use the sagemaker client", self._use_sagemaker),
                ("Invoke the model for every held-out row", self._invoke),
                ("Promise 1: a zone goes down, calls go on", self._lose_a_zone),
                ("Promise 2: the name turns public, nothing is sent", self._turn_public),
            ):
                number = self._output.step(title)
                try:
                    step()
                except (BotoCoreError, ClientError, OSError, ValueError) as error:
                    found = f"{type(error).__name__}: {error}"
                    self._check(f"step {number} runs to its end", held=False, found=found)
                    break
        self._output.step("Take it all away")
        left = [t.name for t in threading.enumerate() if t.name.startswith(_THREAD_NAMES)]
        if self._server is not None and self._server.poll() is None:
            left.append(f"process {self._server.pid}")
        if self._directory.exists():
            left.append(str(self._directory))
        self._check("no process, thread or file is left behind", not left, ", ".join(left))

    def _train_and_serve(self) -> None:
        artifact = self._directory / "model.pkl"
        self._model = model = train(artifact)
        text = f"logistic regression on {model.trained_on} rows of the breast-cancer data"
        self._fact("trained_on", model.trained_on, f"{text}, {len(model.rows)} rows held out")
        self._url, self._server = self._stack.enter_context(serve(artifact))
        pid = self._server.pid
        text = f"GET /ping and POST /invocations at {self._url}"
        self._fact("model_server", {"url": self._url, "pid": pid}, text)
        self._check(
            "the model runs in a separate process",
            self._server.poll() is None and pid != os.getpid(),
            f"{pid}, this one is {os.getpid()}",
        )

    def _deploy(self) -> None:
        zones = (_HOME_ZONE, _OTHER_ZONE)
        link = LocalPrivateLink(region=_REGION, zones=zones, services=_SERVICES)
        self._link = self._stack.enter_context(link)
        self._stack.enter_context(environment_of(link.environment()))
        link.deploy(_NAME, self._url)
        self._session = link.session(availability_zone=_HOME_ZONE)
        self._fact(
            "vpc",
            {"vpc_id": link.vpc_id, "region": _REGION, "zones": zones},
            f"{link.vpc_id} in {_REGION}, played on this machine; we are in {_HOME_ZONE}",
        )
        if self._on_ready is not None:
            self._on_ready(link)

    def _find_routes(self) -> None:
        self._sagemaker, self._runtime = connect(session=self._session)
        for client in (self._sagemaker, self._runtime):
            self._stack.callback(client.close)
        reports = [report_on(self._session, service) for service in _SERVICES]
        self._output.routes(reports)
        routes = [report.route for report in reports if report.route is not None]
        ids = {r.vpc_endpoint.vpc_endpoint_id for r in routes if r.vpc_endpoint is not None}
        self._check(
            "the routes lead to the two VPC endpoints that stand",
            ids == {v.vpc_endpoint_id for v in self._link.vpc_endpoints}
            and len(ids) == len(_SERVICES),
            ", ".join(sorted(ids)),
        )
        enis = {i.address for v in self._link.vpc_endpoints for i in v.interfaces}
        addresses = {address.address for route in routes for address in route.addresses}
        self._check(
            "every address is a network interface of theirs",
            addresses == enis and all(route.is_private for route in routes),
            ", ".join(sorted(addresses)),
        )

    def _use_sagemaker(self) -> None:
        self._sagemaker.create_training_job(
            TrainingJobName=f"{_NAME}-1",
            AlgorithmSpecification={"TrainingImage": "scikit-learn", "TrainingInputMode": "File"},
            RoleArn=f"arn:aws:iam::{self._link.account_id}:role/demo",
            OutputDataConfig={"S3OutputPath": f"s3://{_NAME}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        endpoints = self._sagemaker.list_endpoints()["Endpoints"]
        hosted = {one["EndpointName"]: one["EndpointStatus"] for one in endpoints}
        summaries = self._sagemaker.list_training_jobs()["TrainingJobSummaries"]
        jobs = {one["TrainingJobName"]: one["TrainingJobStatus"] for one in summaries}
        self._fact("endpoints", hosted, f"list_endpoints: {_in_words(hosted)}")
        self._fact("training_jobs", jobs, f"list_training_jobs: {_in_words(jobs)}")
        is_there = hosted == {_NAME: "InService"} and jobs == {f"{_NAME}-1": "Completed"}
        self._check("both lists have what was made", is_there)

    def _invoke(self) -> None:
        started = time.monotonic()
        labels, _, zones = self._call_for_every_row()
        total, rate = len(labels), len(labels) / (time.monotonic() - started)
        accuracy = self._model.accuracy(labels)
        text = f"accuracy {accuracy:.1%} over {total} calls of invoke_endpoint"
        self._fact("accuracy", round(accuracy, 4), text)
        self._fact(
            "calls_per_second",
            round(rate),
            f"{rate:.0f} calls per second by {_THREADS} threads (client, TLS server and API front "
            "share this one process)",
        )
        self._check(
            "every answer is the model's own",
            labels == self._model.predictions,
            f"{self._right(labels)} of {total} equal what it says without a network",
        )
        claim = f"the accuracy is at least {_GOOD_ACCURACY:.0%}"
        self._check(claim, accuracy >= _GOOD_ACCURACY, f"{accuracy:.1%}")
        self._check(
            "every call came through a VPC endpoint, in our own zone",
            set(zones) == {_HOME_ZONE} and zones[_HOME_ZONE] >= total,
            _in_words(zones),
        )

    def _lose_a_zone(self) -> None:
        total = len(self._model.rows)
        cut = total // 3

        def cut_zone(index: int) -> None:
            if index == cut:  # packets vanish: the hardest way to go, since nothing says so
                self._link.faults.zone(_HOME_ZONE, how="swallow")

        labels, seconds, zones = self._call_for_every_row(before_call=cut_zone)
        slowest = max(seconds)
        self._fact(
            "zone_down",
            {"zone": _HOME_ZONE, "after_calls": cut, "slowest_call": round(slowest, 2)},
            f"{_HOME_ZONE} swallows every packet after call {cut}; slowest call {slowest:.1f} s, "
            f"median {statistics.median(seconds) * 1000:.0f} ms",
        )
        found = f"{self._right(labels)} of {total}"
        self._check(
            "every call was answered, and rightly", labels == self._model.predictions, found
        )
        # What was under way at the cut may have reached the zone, and be counted there.
        took_over = zones[_OTHER_ZONE] >= total - cut - 2 * _THREADS
        self._check(f"{_OTHER_ZONE} took over", took_over, _in_words(zones))
        claim = f"no call took longer than {_SLOWEST_CALL:g} s"
        self._check(claim, slowest <= _SLOWEST_CALL, f"{slowest:.1f} s")

    def _turn_public(self) -> None:
        link, internet = self._link, self._link.internet
        link.faults.dns("sagemaker-runtime", _PUBLIC_ADDRESS)
        listeners = [i.listener for v in link.vpc_endpoints for i in v.interfaces]

        def traffic() -> tuple[int, int]:
            received = sum(listener.bytes_received for listener in listeners)
            return len(link.network.dialled), received

        runtime = self._session.client("sagemaker-runtime")  # has no connection: it looks it up
        self._stack.callback(runtime.close)
        before, started = traffic(), time.monotonic()
        address, text = "", "the call was answered"
        try:
            self._call(runtime, self._model.rows[0])
        except PublicAddressError as error:
            address, text = error.address, str(error).partition("\n")[0]
        seconds = time.monotonic() - started
        dialled, received = (now - then for now, then in zip(traffic(), before, strict=True))
        self._fact("refusal", text, text)
        self._check(
            "the call is refused with PublicAddressError, at once",
            address == _PUBLIC_ADDRESS and seconds <= _SLOWEST_REFUSAL,
            f"after {seconds * 1000:.0f} ms",
        )
        self._check(
            "that call dialled nothing and sent not a byte, inside or outside",
            (dialled, received) == (0, 0),
            f"{dialled} connections, {received} bytes",
        )
        self._check(
            "the public address has received nothing since the demo began",
            (internet.connections, internet.bytes_received) == (0, 0),
            f"{internet.connections} connections, {internet.bytes_received} bytes",
        )
        with contextlib.redirect_stderr(io.StringIO()):  # it would warn that the guard is off
            # The default host, because the listener's certificate is for AWS's public names.
            url = f"https://runtime.sagemaker.{_REGION}.amazonaws.com"
            session = link.session(on_public_route="warn")
            runtime = session.client("sagemaker-runtime", endpoint_url=url)
            with contextlib.closing(runtime):
                self._call(runtime, self._model.rows[0])
        self._check(
            "its counter works: with the guard switched off the same call arrives there",
            internet.bytes_received > 0,
            f"{internet.bytes_received:,} bytes",
        )

    def _call_for_every_row(
        self, before_call: Callable[[int], None] = lambda _: None
    ) -> tuple[tuple[int, ...], list[float], Counter[str]]:
        """Return the labels of all held-out rows, each call's seconds, and requests by zone."""

        def call(index: int) -> tuple[int, float]:
            before_call(index)
            started = time.monotonic()
            return self._call(self._runtime, rows[index]), time.monotonic() - started

        rows, before, answers = self._model.rows, len(self._link.requests), []
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="demo-call") as pool:
            for answer in pool.map(call, range(len(rows))):
                answers.append(answer)
                self._output.progress(len(answers), len(rows))
        zones = Counter(r.availability_zone or "the internet" for r in self._link.requests[before:])
        return tuple(label for label, _ in answers), [seconds for _, seconds in answers], zones

    @staticmethod
    def _call(runtime: BotoClient, row: bytes) -> int:
        response = runtime.invoke_endpoint(EndpointName=_NAME, Body=row, ContentType="text/csv")
        return int(response["Body"].read())

    def _right(self, labels: tuple[int, ...]) -> int:
        return sum(a == b for a, b in zip(labels, self._model.predictions, strict=True))


def _in_words(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items())) or "nothing"
