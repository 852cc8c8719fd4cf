"""What the steps of the demonstration share: the names, and what stands so far."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from sm_private_client.session import Session
    from sm_private_client.testing import LocalPrivateLink

__all__ = [
    "HOME_ZONE",
    "NAME",
    "OTHER_ZONE",
    "REGION",
    "SERVICES",
    "DemoSetup",
    "ModelServer",
    "TrainedModel",
    "by_zone",
    "environment_of",
    "in_words",
    "serve",
    "train",
]

NAME: Final = "breast-cancer"
REGION: Final = "us-east-1"
HOME_ZONE: Final = "us-east-1a"
OTHER_ZONE: Final = "us-east-1b"
SERVICES: Final = ("sagemaker", "sagemaker-runtime")

_CUT_TIMEOUT: Final = 5.0


@dataclass
class DemoSetup:
    """What stands; each step adds to it.

    Attributes:
        stack: Takes everything away at the end.
        directory: Where files are.
        model: The trained model.
        server: The model server.
        link: The simulator.
        session: The session inside its VPC.
        sagemaker: The ``sagemaker`` client.
        runtime: The ``sagemaker-runtime`` client.
    """

    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    directory: Path | None = None
    model: TrainedModel = field(init=False)
    server: ModelServer | None = None
    link: LocalPrivateLink = field(init=False)
    session: Session = field(init=False)
    sagemaker: Any = None
    runtime: Any = None

    def bytes_inside(self) -> int:
        """Counts what the network interfaces of all VPC endpoints have received."""
        interfaces = [i for v in self.link.vpc_endpoints for i in v.interfaces]
        return sum(interface.listener.bytes_received for interface in interfaces)

    def cut_connections(self) -> None:
        """Ends the connections that stand, so that the next call needs a new one."""
        listeners = [i.listener for v in self.link.vpc_endpoints for i in v.interfaces]
        for listener in listeners:
            listener.reset_connections()
        deadline = time.monotonic() + _CUT_TIMEOUT
        while any(listener.open_connections() for listener in listeners):
            if time.monotonic() > deadline:
                raise TimeoutError("connections to the VPC endpoints could not be ended")
            time.sleep(0.005)


def by_zone(zones: Iterable[str | None]) -> dict[str, int]:
    """Counts by zone; ``None`` is outside of all of them."""
    counted: dict[str, int] = {}
    for zone in zones:
        name = zone or "the internet"
        counted[name] = counted.get(name, 0) + 1
    return counted


def in_words(values: dict[str, Any]) -> str:
    """Gives names and values as one line."""
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items())) or "nothing"


_OWNED: Final = ("AWS_", "SM_PRIVATE_")
_START_TIMEOUT: Final = 120.0
_END_TIMEOUT: Final = 5.0


@contextlib.contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Has this process see only the given AWS variables for the length of the block.

    The reader's own profile, keys, endpoint URLs and proxies must neither be used nor disturb.
    """
    before = read_environment()
    mine = {name for name in before if name.startswith(_OWNED)}
    try:
        for name in mine:
            del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        for name in mine | set(variables):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


class ModelServer:
    """A model server that runs in a process of its own.

    Attributes:
        url: Where it listens.
        pid: Its process.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self.pid = process.pid
        self._process = process

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None


@contextlib.contextmanager
def serve(artifact: Path) -> Iterator[ModelServer]:
    """Serves a model in a separate process for the length of the block.

    Raises:
        PrivateClientError: It did not start; the text has what it said.
    """
    log = artifact.with_suffix(".log")
    command = [sys.executable, "-m", f"{__package__}.model_server", str(artifact)]
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=artifact.parent,  # -m looks there first: nobody's files but ours
        )
    try:
        url = _first_line(process)
        if not url:
            raise PrivateClientError(
                "The model server did not start.",
                cause=log.read_text().strip() or f"it said nothing for {_START_TIMEOUT:g} s.",
                remedy="run the command again; if it fails again, tell us what it says here.",
            )
        yield ModelServer(process, url)
    finally:
        _end(process)


def _first_line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        return ""
    # A pipe has no time-out of its own; ending the process ends the wait.
    watchdog = threading.Timer(_START_TIMEOUT, process.kill)
    watchdog.start()
    try:
        return process.stdout.readline().strip()
    finally:
        watchdog.cancel()
        watchdog.join()


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


_SEED: Final = 7
_HELD_OUT: Final = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """What training gave.

    Attributes:
        trained_on: How many rows it was trained on.
        rows: The held-out rows, each a line of CSV.
        labels: Their true labels.
        predictions: What the model says of them in this process.
    """

    trained_on: int
    rows: tuple[bytes, ...]
    labels: tuple[int, ...]
    predictions: tuple[int, ...]

    def accuracy(self, predictions: tuple[int, ...]) -> float:
        """Gives the share of predictions that are right."""
        right = sum(p == label for p, label in zip(predictions, self.labels, strict=True))
        return right / len(self.labels)


def train(artifact: Path) -> TrainedModel:
    """Trains the same model every time and writes it to a file.

    Args:
        artifact: Where the fitted model goes, for the model server to load.
    """
    # Only here: the command that has this module loaded says first what is not installed.
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - see above
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see above
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - see above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - see above
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - see above

    features, labels = load_breast_cancer(return_X_y=True)
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        features, labels, test_size=_HELD_OUT, random_state=_SEED, stratify=labels
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(seen, seen_labels)
    artifact.write_bytes(pickle.dumps(model))
    return TrainedModel(
        trained_on=len(seen),
        # repr gives the shortest text that reads back as the same number.
        rows=tuple(",".join(repr(float(v)) for v in row).encode() for row in held_out),
        labels=tuple(int(label) for label in held_out_labels),
        predictions=tuple(int(label) for label in model.predict(held_out)),
    )
