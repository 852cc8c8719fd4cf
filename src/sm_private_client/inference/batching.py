"""Micro-batching: several items in one payload, and its answer split among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sm_private_client.inference.window import Batch

__all__ = ["ROWS", "Combine", "check_batch_size", "combine_from", "fill", "payload_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Combine:
    """How items become one payload, and its answer their answers.

    A model that takes ``{"instances": […]}`` and gives ``{"predictions": […]}`` needs::

        Combine(
            join=lambda items: {"instances": items},
            split=lambda answer, count: answer["predictions"],
        )

    Attributes:
        join: From the items of a batch, in order, to what one call is given.
        split: From what the call gave, and how many items it was for, to one answer an item.
    """

    join: Callable[[list[Any]], Any]
    split: Callable[[Any, int], Sequence[Any]]


def split_rows(answer: object, count: int) -> Sequence[Any]:
    """Gives the rows of a list, a tuple or a numpy array.

    Raises:
        PayloadError: The answer is something else.
    """
    if isinstance(answer, (list, tuple)):
        return answer
    # numpy's arrays and pandas' columns; a table's own iterator would give its column names
    if hasattr(answer, "tolist") and getattr(answer, "ndim", 0) > 0:
        return list(answer)  # type: ignore[call-overload,no-any-return] # only known by its look
    raise PayloadError(
        f"The answer to a batch of {count} items is a {type(answer).__name__}, not a list.",
        cause="rows are answered by a list with one element for each.",
        remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
    )


ROWS: Final = Combine(join=list, split=split_rows)
"""A list of the items in, a list of the same length out."""


def combine_from(combine: Combine | tuple[Any, Any] | None) -> Combine:
    """Makes a ``Combine`` of what the argument is.

    Args:
        combine: One, a pair ``(join, split)``, or ``None`` for rows.

    Raises:
        ConfigurationError: It is something else.
    """
    if combine is None:
        return ROWS
    if isinstance(combine, Combine):
        return combine
    if isinstance(combine, tuple) and [callable(part) for part in combine] == [True, True]:
        return Combine(join=combine[0], split=combine[1])
    raise ConfigurationError(
        f"combine= cannot be a {type(combine).__name__}.",
        cause="it is neither a Combine nor a pair of callables.",
        remedy="pass Combine(join=…, split=…), or (join, split).",
    )


def check_batch_size(batch_size: int) -> None:
    """Lets whole numbers from 1 up pass.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigurationError(
            f"batch_size={batch_size!r} cannot be used.",
            cause="it is not a whole number from 1 up.",
            remedy="pass the number of items that one call is to carry.",
        )


def payload_of(batch: Batch[Any, Any], combine: Combine | None) -> Any:  # noqa: ANN401 - the caller's
    """Gives what a call is to be given: the items joined, or the one item as it is."""
    items = [place.item for place in batch.places]
    return items[0] if combine is None else combine.join(items)


def fill(batch: Batch[Any, Any], combine: Combine | None, answer: object) -> None:
    """Gives each item its part of what a call gave.

    Raises:
        PayloadError: There are not as many parts as there are items; none got any.
    """
    if combine is None:
        batch.places[0].answer(answer)
        return
    count = len(batch.places)
    parts = combine.split(answer, count)
    if len(parts) != count:
        raise PayloadError(
            f"A batch of {count} items was answered by {len(parts)} rows.",
            possible_causes=(
                "the model drops or adds rows",
                "it takes the batch for one input",
                "split does not fit its answers",
            ),
            remedy="pass combine=(join, split) that fit the model, or batch_size=1.",
        )
    for place, part in zip(batch.places, parts, strict=True):
        place.answer(part)
