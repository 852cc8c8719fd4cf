"""Recorder: a run's items against its journal, for threads and for asyncio alike."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sm_private_client.inference.journal import Journal, fingerprint_of

if TYPE_CHECKING:
    from sm_private_client.inference.journal import Recording
    from sm_private_client.inference.window import Place

__all__ = ["Recorder"]


class Recorder:
    """Recalls what earlier runs answered and keeps what this one does; safe between threads.

    Args:
        recording: Where and how.

    Raises:
        ConfigurationError: The journal cannot be opened; see ``Journal``.
    """

    def __init__(self, recording: Recording[Any, Any]) -> None:
        self._recording = recording
        self._journal = Journal(recording.path, recording.run)

    def __repr__(self) -> str:
        return f"Recorder({self._journal!r})"

    def recall(self, place: Place[Any, Any]) -> None:
        """Notes what an item is, and its result where an earlier run has it.

        An item that cannot be encoded has that error as its outcome.

        Raises:
            ConfigurationError: The item is not the one that was answered.
        """
        try:
            encoded = self._recording.encode(place.item)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the item's outcome
            place.fail(error)
            return
        place.fingerprint = fingerprint_of(encoded)
        known = self._journal.find(place.index, place.fingerprint)
        if known is not None:
            place.answer(self._recording.load(known))

    def keep(self, place: Place[Any, Any]) -> None:
        """Writes an item's outcome down.

        A result that cannot be dumped becomes that error; a journal that cannot be written
        ends the run, since what follows would be lost.
        """
        outcome = place.outcome
        try:
            if not place.is_error:
                value = self._recording.dump(outcome)
                self._write(place, value)
            elif isinstance(outcome, Exception):
                self._write(place, outcome)
        except Exception as error:  # noqa: BLE001 - as above
            place.fail(error)

    def _write(self, place: Place[Any, Any], outcome: bytes | Exception) -> None:
        try:
            if isinstance(outcome, Exception):
                self._journal.record_error(place.index, place.fingerprint, outcome)
            else:
                self._journal.record(place.index, place.fingerprint, outcome)
        except OSError as error:
            error.filename = os.fspath(self._recording.path)
            place.fail(error, fatal=True)

    def close(self) -> None:
        """Forces what was written to the disk and frees the journal; may be called again.

        Raises:
            OSError: The disk did not take it.
        """
        self._journal.close()
