"""Predictions of many inputs: what a predictor gives to ``map_calls``, and takes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sm_private_client.inference.codecs import decode, encode
from sm_private_client.inference.mapping.journal import JournalCodec, pack_answer, unpack_answer
from sm_private_client.inference.mapping.mapping import map_calls

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client.inference.codecs import Codec
    from sm_private_client.inference.mapping.mapping import MappedCalls

__all__ = ["Predictions", "journal_codec", "predictions", "result_of", "value_of"]

_JSON: Final = "application/json"

Answered = tuple[bytes, str | None]


class _Result(NamedTuple):
    """A decoded answer, and the answer itself for the journal."""

    value: Any
    packed: bytes


class Predictions(Iterator[Any]):
    """The predictions, one an item, as they are asked for.

    It closes itself at the end, at an error and at Ctrl-C; used as a context manager it does so
    at the end of the block.
    """

    def __init__(self, calls: MappedCalls[Any]) -> None:
        self._calls = calls

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - what the answers are
        return value_of(next(self._calls))

    def close(self) -> None:
        """Starts nothing more and waits for what runs."""
        self._calls.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def predictions(
    answer: Callable[[bytes, str, str, Callable[[BaseException], None]], Answered],
    items: Iterable[Any],
    *,
    codec: Codec | str | None,
    journal: str | os.PathLike[str] | None,
    run: Mapping[str, str],
    batch_size: int,
    **options: Any,  # noqa: ANN401 - those of Predictor.stream
) -> Predictions:
    """Maps items to decoded answers.

    Args:
        answer: Invokes with retries: body, content type, accept and what is told failed attempts.
        items: Any iterable.
        codec: As for ``encode`` and ``decode``.
        journal: The path of the journal, or ``None``.
        run: What the run is, for the journal.
        batch_size: Items a call.
        **options: The rest of ``map_calls``.
    """
    alone = batch_size == 1 and options.get("combine") is None
    keeps = journal is not None and alone

    def call(item: Any, observe: Callable[[BaseException], None]) -> Any:  # noqa: ANN401
        payload = encode(item, codec)
        answered = answer(payload.body, payload.content_type, payload.accept, observe)
        return result_of(answered, codec, keeps=keeps)

    kept_by = journal_codec(journal, run, codec=codec, batch_size=batch_size, alone=alone)
    calls = map_calls(call, items, journal=kept_by, batch_size=batch_size, **options)
    return Predictions(calls)


def result_of(answered: Answered, codec: Codec | str | None, *, keeps: bool) -> Any:  # noqa: ANN401
    """Decodes an answer; ``keeps`` also keeps the answer itself, for the journal."""
    body, content_type = answered
    value = decode(body, content_type, codec=codec)
    return _Result(value, pack_answer(body, content_type or "")) if keeps else value


def value_of(result: Any) -> Any:  # noqa: ANN401 - what the answers are
    """Gives the decoded answer of what ``result_of`` gave."""
    return result.value if isinstance(result, _Result) else result


def journal_codec(
    journal: str | os.PathLike[str] | None,
    run: Mapping[str, str],
    *,
    codec: Codec | str | None,
    batch_size: int,
    alone: bool,
) -> JournalCodec[Any, Any] | None:
    """Says how a run's results are kept: alone as they came, of a batch's answer as JSON."""
    if journal is None:
        return None

    def load(packed: bytes) -> Any:  # noqa: ANN401
        body, content_type = unpack_answer(packed)
        return result_of((body, content_type or None), codec, keeps=True)

    return JournalCodec(
        path=journal,
        run={**run, "batch_size": str(batch_size)},
        encode=lambda item: encode(item, codec).body,
        dump=(lambda result: result.packed) if alone else _dump_json,
        load=load if alone else json.loads,
    )


def _dump_json(value: object) -> bytes:
    return encode(value, _JSON).body
