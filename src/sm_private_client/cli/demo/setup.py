"""What the demonstration sets up: an environment, a trained model and its server."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["TrainedModel", "environment_of", "serve", "train"]

_SDK_VARIABLES: Final = ("AWS_", "SM_PRIVATE_")
_END_TIMEOUT: Final = 5.0


@contextlib.contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace this process's AWS variables by the given ones, for the ``with`` block.

    The user's own profile, keys, endpoint URLs and proxies must neither be used nor disturb.
    """
    before = read_environment()
    try:
        for name in before:
            if name.startswith(_SDK_VARIABLES):
                del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        for name in read_environment().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


class TrainedModel(NamedTuple):
    """A model's held-out rows, as lines of CSV, their true labels, and its own predictions."""

    trained_on: int
    rows: tuple[bytes, ...]
    labels: tuple[int, ...]
    predictions: tuple[int, ...]

    def accuracy(self, predictions: tuple[int, ...]) -> float:
        """Return the share of predictions that are right."""
        right = sum(p == label for p, label in zip(predictions, self.labels, strict=True))
        return right / len(self.labels)


def train(artifact: Path) -> TrainedModel:
    """Train the same model every time and write it to a file, for the model server to load."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = load_breast_cancer(return_X_y=True)
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        features, labels, test_size=0.3, random_state=7, stratify=labels
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(seen, seen_labels)
    artifact.write_bytes(pickle.dumps(model))
    return TrainedModel(
        trained_on=len(seen),
        # repr is the shortest text that reads back as the same number.
        rows=tuple(",".join(repr(float(v)) for v in row).encode() for row in held_out),
        labels=tuple(map(int, held_out_labels)),
        predictions=tuple(map(int, model.predict(held_out))),
    )


@contextlib.contextmanager
def serve(artifact: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a model in a process of its own, for the ``with`` block.

    Yields:
        The server's URL and its process.

    Raises:
        PrivateClientError: It did not start; the text has what it printed.
    """
    log = artifact.with_suffix(".log")
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", f"{__package__}.model_server", str(artifact)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=artifact.parent,  # -m looks there first: nobody's files but ours
        ) as process,
    ):
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise PrivateClientError(
                    "The model server did not start.",
                    cause=log.read_text().strip() or "it printed nothing.",
                    remedy="run the command again; if it fails again, tell us what it says here.",
                )
            yield url, process
        finally:
            try:
                process.communicate(timeout=_END_TIMEOUT)  # its standard input ends, and so does it
            except subprocess.TimeoutExpired:
                process.kill()
