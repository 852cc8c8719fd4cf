"""The demonstration's model: a logistic regression on the breast-cancer data of scikit-learn."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TrainedModel", "train"]

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
