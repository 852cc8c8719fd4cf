"""Items and answers of a predictor's map: encoded, decoded, kept in a journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sm_private_client.inference.codecs import decode, encode
from sm_private_client.inference.mapping.journal import JournalCodec, pack_answer, unpack_answer

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from sm_private_client.inference.codecs import Codec, Payload
    from sm_private_client.inference.invocation import Invocation
    from sm_private_client.types import Value

__all__ = ["ItemCodec"]

_JSON: Final = "application/json"


class _JournaledResult(NamedTuple):
    value: Value
    packed: bytes


class ItemCodec:
    """How a map encodes its items, decodes its answers, and keeps them in a journal.

    The journal of single items keeps the answers as they came; that of batches keeps each item's
    part as JSON.

    Args:
        codec: As for ``encode`` and ``decode``.
        journal: The path of the journal; ``None`` for none.
        run: What the run is; see ``JournalCodec``.
        is_single: Each call has one item, and its answer is the item's result.
    """

    def __init__(
        self,
        codec: Codec | str | None,
        *,
        journal: str | os.PathLike[str] | None,
        run: Mapping[str, str],
        is_single: bool,
    ) -> None:
        self._codec = codec
        self._keeps_answers = journal is not None and is_single
        self.journal: JournalCodec[Any, Any] | None = None
        if journal is not None and is_single:
            self.journal = JournalCodec(
                path=journal,
                run=run,
                encode=lambda item: encode(item, codec).body,
                dump=lambda result: result.packed,
                load=self._load,
                unwrap=lambda result: result.value,
            )
        elif journal is not None:
            self.journal = JournalCodec(
                path=journal,
                run=run,
                encode=lambda item: encode(item, codec).body,
                dump=lambda result: encode(result, _JSON).body,
                load=json.loads,
            )

    def encode(self, item: Value) -> Payload:
        """Return the payload of an item, or of the joined items of a batch."""
        return encode(item, self._codec)

    def decode(self, answer: Invocation) -> Value:
        """Return what a call has for ``map_calls``; ``unwrap`` turns it into the result."""
        value = decode(answer.body, answer.content_type, codec=self._codec)
        if not self._keeps_answers:
            return value
        return _JournaledResult(value, pack_answer(answer.body, answer.content_type or ""))

    def _load(self, packed: bytes) -> Value:
        body, content_type = unpack_answer(packed)
        return decode(body, content_type or None, codec=self._codec)
