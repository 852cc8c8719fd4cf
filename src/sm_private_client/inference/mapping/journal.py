"""The journal of a map: its file format, its file, and what a run writes to it.

One append-only file, mode 0600, locked while a run has it open. **It holds the results**, as
bytes of the run's ``JournalCodec``. Of an item it holds the SHA-256 of its encoded form, never the
item.

A record is written in one piece as soon as its item is finished, so a killed process loses none of
them; a call whose answer was not written yet is made again. The file is forced to the disk (fsync)
with the first record after each second and at the end, so a machine that dies loses about a second
of answers. A record that was not written whole is cut off when the file is opened next.

The last record of an item counts. An item that ended in an error is noted, and is not finished:
the next run tries it again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import struct
import tempfile
import threading
import time
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from sm_private_client.errors import ConfigurationError
from sm_private_client.files import NotOursError, open_ours, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from sm_private_client.inference.mapping.window import Batch, Item

__all__ = [
    "ANSWER",
    "ERROR",
    "LAST_ITEM",
    "MAGIC",
    "Journal",
    "JournalCodec",
    "JournalWriter",
    "Record",
    "fingerprint_of",
    "pack_answer",
    "pack_header",
    "pack_record",
    "unpack_answer",
]

T = TypeVar("T")
R = TypeVar("R")

SYNC_INTERVAL: Final = 1.0
"""Seconds of answers that may be lost if the machine dies."""

FAMILY: Final = b"sm-private-client journal "
"""The beginning of a journal of any version."""

MAGIC: Final = FAMILY + b"1\n"
"""The beginning of a journal of this version."""

LAST_ITEM: Final = 1 << 40
"""More than a run can have; a record with a higher number is damaged."""

ANSWER: Final = 1
ERROR: Final = 2

_COUNT: Final = struct.Struct(">II")
_RECORD: Final = struct.Struct(">QBI32s")
_CHECKS: Final = struct.Struct(">II")
_HEAD: Final = _RECORD.size + _CHECKS.size
_BLOCK: Final = 1 << 20
_TYPE_LENGTH: Final = struct.Struct(">H")

_logger = logging.getLogger(__name__)


# The format


class Record(NamedTuple):
    """One item that was finished.

    Attributes:
        item: Its position among the items, from 0.
        kind: ``ANSWER`` or ``ERROR``.
        fingerprint: The SHA-256 of its encoded form.
        value: The result; of an error its class and the service's code.
    """

    item: int
    kind: int
    fingerprint: bytes
    value: bytes


def fingerprint_of(encoded: bytes) -> bytes:
    """Return the SHA-256 of an item's encoded form, 32 bytes."""
    return hashlib.sha256(encoded).digest()


def pack_answer(body: bytes, content_type: str) -> bytes:
    """Return a raw answer with its content type as bytes."""
    kind = content_type.encode()
    return _TYPE_LENGTH.pack(len(kind)) + kind + body


def unpack_answer(packed: bytes) -> tuple[bytes, str]:
    """Return the body and the content type from ``pack_answer``."""
    start = _TYPE_LENGTH.size + int(_TYPE_LENGTH.unpack_from(packed)[0])
    return packed[start:], packed[_TYPE_LENGTH.size : start].decode()


def pack_header(run: Mapping[str, str]) -> bytes:
    """Return the header of a run's journal; it is the same for the same run."""
    text = json.dumps(dict(run), sort_keys=True).encode()
    return MAGIC + _COUNT.pack(len(text), zlib.crc32(text)) + text


def pack_record(record: Record) -> bytes:
    """Return a record as bytes."""
    fields = _RECORD.pack(record.item, record.kind, len(record.value), record.fingerprint)
    return fields + _CHECKS.pack(zlib.crc32(fields), zlib.crc32(record.value)) + record.value


def _read_run(file: IO[bytes]) -> dict[str, str] | None:
    """Return the run from the header after the magic; ``None`` if that is damaged."""
    count = file.read(_COUNT.size)
    if len(count) < _COUNT.size:
        return None
    length, check = _COUNT.unpack(count)
    text = file.read(min(length, _BLOCK))  # damage may give any length
    if len(text) < length or zlib.crc32(text) != check:
        return None
    try:
        run = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(run, dict) or not all(isinstance(v, str) for v in run.values()):
        return None
    return run


def _read_record(file: IO[bytes]) -> Record | None:
    """Return the record at the file's position; ``None`` if there is no whole one."""
    head = file.read(_HEAD)
    if not _is_head(head):
        return None
    item, kind, length, fingerprint = _RECORD.unpack_from(head)
    left = os.fstat(file.fileno()).st_size - file.tell() if length > _BLOCK else length
    if item > LAST_ITEM or length > left:
        return None
    value = file.read(length)
    _, check = _CHECKS.unpack_from(head, _RECORD.size)
    if len(value) < length or zlib.crc32(value) != check:
        return None
    return Record(item, kind, fingerprint, value)


def _scan(file: IO[bytes]) -> Iterator[tuple[int, Record]]:
    """Yield each record from here with its position, up to the first that is not whole."""
    position = file.tell()
    while (record := _read_record(file)) is not None:
        yield position, record
        position += _HEAD + len(record.value)


def _is_torn(file: IO[bytes], position: int, size: int) -> bool:
    """Return True if a kill can have left the record that is not whole, at the end of the file.

    Args:
        file: The journal.
        position: The start of the first record that is not whole.
        size: The length of the file.
    """
    file.seek(position)
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        return True
    if _is_head(head):
        item, _, length, _ = _RECORD.unpack_from(head)
        return bool(item <= LAST_ITEM and position + _HEAD + length >= size)
    file.seek(position)
    return not any(any(block) for block in iter(lambda: file.read(_BLOCK), b""))


def _is_head(head: bytes) -> bool:
    if len(head) < _HEAD:
        return False
    check: int = _CHECKS.unpack_from(head, _RECORD.size)[0]
    return zlib.crc32(head[: _RECORD.size]) == check


# The file


class Journal:
    """An open journal; safe between threads. Memory does not grow with its records.

    Attributes:
        answered: The number of items that had an answer as it was opened.
        failed: The number of items that had ended in an error.

    Args:
        path: The file.
        run: What the run is; see ``JournalCodec``.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: The file cannot be opened, is in use, is damaged, is no journal, or is
            that of another run. It is left as it was.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        run: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = os.fspath(path)
        self._clock = clock
        self._lock = threading.Lock()
        self._synced = clock()
        with ExitStack() as undo:
            self._file = undo.enter_context(_open(self._path))
            if not try_lock(self._file.fileno()):
                raise ConfigurationError(
                    f"The journal {self._path} is in use.",
                    cause="another run has it open, in this process or in another.",
                    remedy="wait for that run, close it, or give this one another journal.",
                )
            self._positions = undo.enter_context(_AnswerPositions())
            self._size = self._begin(run)
            if hasattr(os, "fchmod"):
                os.fchmod(self._file.fileno(), 0o600)
            undo.pop_all()
        self.answered, self.failed = self._positions.answered, self._positions.failed

    def __repr__(self) -> str:
        return f"Journal({self._path!r}, answered={self.answered}, failed={self.failed})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, index: int, fingerprint: bytes) -> bytes | None:
        """Return an item's result from an earlier run; ``None`` if there is none.

        Args:
            index: The item's position, from 0.
            fingerprint: The item's fingerprint now.

        Raises:
            ConfigurationError: The item is not the one that was answered, or the file was changed
                by someone else.
        """
        with self._lock:
            position = self._positions.of_answer(index)
            if position is None:
                return None
            self._file.seek(position)
            record = _read_record(self._file)
        if record is None:
            raise self._damaged(position)
        if record.fingerprint != fingerprint:
            raise ConfigurationError(
                f"Item {index} is not the one that the journal {self._path} has an answer for.",
                cause="the items are others or in another order, or are encoded otherwise.",
                remedy="give the same items in the same order, or another journal.",
            )
        return record.value

    def record(self, index: int, fingerprint: bytes, value: bytes) -> None:
        """Write an item's result.

        Raises:
            OSError: It could not be written, such as on a full disk. The journal stays valid.
        """
        self._append(Record(index, ANSWER, fingerprint, value))

    def record_error(self, index: int, fingerprint: bytes, error: Exception) -> None:
        """Write that an item ended in an error: its class and the service's code, no message.

        Raises:
            OSError: As for ``record``.
        """
        words = [type(error).__name__]
        if isinstance(error, ClientError):
            words.append(str(error.response.get("Error", {}).get("Code", "")))
        self._append(Record(index, ERROR, fingerprint, " ".join(words).encode()))

    def close(self) -> None:
        """Force what was written to the disk and close the file; it may be called again.

        Raises:
            OSError: It could not be written to the disk.
        """
        with self._lock:
            if self._file.closed:
                return
            with self._file, self._positions:
                os.fsync(self._file.fileno())

    def _append(self, record: Record) -> None:
        packed = pack_record(record)
        with self._lock:
            self._file.seek(self._size)
            try:
                _write(self._file, packed)
            except OSError:
                self._file.truncate(self._size)  # no half record in the midst
                raise
            self._size += len(packed)
            now = self._clock()
            if now - self._synced >= SYNC_INTERVAL:
                os.fsync(self._file.fileno())
                self._synced = now

    def _begin(self, run: Mapping[str, str]) -> int:
        """Write the header of a new journal, or read an old one; return where to go on."""
        header = pack_header(run)
        # Buffered, on the same handle: reading record by record costs little.
        with open(self._file.fileno(), "rb", closefd=False) as reader:
            found = reader.read(len(header))
            if found != header and not header.startswith(found):
                reader.seek(0)
                raise self._not_ours(reader, run)
            if found == header:
                return self._read(reader, len(header))
        self._file.seek(0)  # a new one, or one killed in its first moment
        _write(self._file, header)
        os.fsync(self._file.fileno())
        return len(header)

    def _read(self, reader: IO[bytes], end: int) -> int:
        for position, record in _scan(reader):
            try:
                self._positions.note(record.item, position if record.kind == ANSWER else None)
            except OSError as error:
                if error.errno not in (errno.EFBIG, errno.EINVAL):
                    raise
                raise self._damaged(position) from None  # no file is as long as its number says
            end = reader.tell()
        size = os.fstat(reader.fileno()).st_size
        if end < size:
            if not _is_torn(reader, end, size):
                raise self._damaged(end)
            _logger.warning(
                "%s ended in a record that was not written whole; its item is called again.",
                self._path,
            )
            self._file.truncate(end)
        return end

    def _not_ours(self, reader: IO[bytes], run: Mapping[str, str]) -> ConfigurationError:
        magic = reader.read(len(MAGIC))
        if magic != MAGIC:
            other = magic.startswith(FAMILY)
            return ConfigurationError(
                f"{self._path} is not a journal that can be read here.",
                cause="another version wrote it." if other else "it holds something else.",
                remedy="pass journal= another path; this file was left as it was.",
            )
        known = _read_run(reader)
        if known is None:
            return self._damaged(len(MAGIC))
        names = sorted(n for n in {*known, *run} if known.get(n) != run.get(n))
        return ConfigurationError(
            f"The journal {self._path} is of another run.",
            cause="; ".join(f"{n} was {known.get(n)!r}, is {run.get(n)!r}" for n in names) + ".",
            remedy="pass journal= another path, or run with the settings of that run.",
        )

    def _damaged(self, position: int) -> ConfigurationError:
        return ConfigurationError(
            f"The journal {self._path} is damaged at byte {position}.",
            cause="what stands there is not what a run wrote, and more follows it.",
            remedy="pass journal= another path; this file was left as it was.",
        )


class _AnswerPositions:
    """The positions of the answers that were there at the start, 8 bytes each, in a nameless file.

    Not in memory, which must not grow with the number of items.
    """

    _SIZE: Final = 8
    _FAILED: Final = 1  # no record stands at byte 1

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.answered = 0
        self.failed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, index: int, answer: int | None) -> None:
        before = self._read(index)
        now = self._FAILED if answer is None else answer
        self.answered += (now > self._FAILED) - (before > self._FAILED)
        self.failed += (now == self._FAILED) - (before == self._FAILED)
        self._file.seek(index * self._SIZE)
        self._file.write(now.to_bytes(self._SIZE, "big"))

    def of_answer(self, index: int) -> int | None:
        position = self._read(index)
        return position if position > self._FAILED else None

    def _read(self, index: int) -> int:
        if not (self.answered or self.failed):
            return 0
        self._file.seek(index * self._SIZE)
        return int.from_bytes(self._file.read(self._SIZE), "big")


def _open(path: str) -> IO[bytes]:
    try:
        # A link that another user planted would have the results written where he can read them.
        handle = open_ours(Path(path), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        cause = str(error) if isinstance(error, NotOursError) else error.strerror
        raise ConfigurationError(
            f"The journal {path} cannot be opened.",
            cause=f"{cause}.",
            remedy="pass journal= the path of a file of yours, in a directory that is there; if "
            "others can write it: chmod go-w.",
        ) from None
    return open(handle, "r+b", buffering=0)  # noqa: PTH123 - a handle, given away


def _write(file: IO[bytes], data: bytes) -> None:
    written = file.write(data)
    while written < len(data):  # a signal, or a disk that is nearly full
        written += file.write(data[written:])


# What a run writes


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalCodec(Generic[T, R]):
    """Where and how the results of a run are kept.

    Attributes:
        path: The journal. It is created if it is not there; its directory is not.
        run: What the run is (inference endpoint, codec, options), in words that an error may
            show: nothing secret. The journal of another run is refused.
        encode: Returns an item's encoded form, the same in every process. Only its SHA-256 is
            kept.
        dump: Returns what a call returned as bytes.
        load: Returns the result again: ``load(dump(x))`` must equal ``unwrap(x)``.
        unwrap: Returns the result out of what a call returned.
    """

    path: str | os.PathLike[str]
    run: Mapping[str, str]
    encode: Callable[[T], bytes]
    dump: Callable[[Any], bytes]
    load: Callable[[bytes], R]
    unwrap: Callable[[Any], R] = lambda value: value


class JournalWriter:
    """The journal of a run under way: earlier results out, new ones in; safe between threads.

    Args:
        codec: Where and how.

    Raises:
        ConfigurationError: The journal cannot be opened; see ``Journal``.
    """

    def __init__(self, codec: JournalCodec[Any, Any]) -> None:
        self._codec = codec
        self._journal = Journal(codec.path, codec.run)

    def __repr__(self) -> str:
        return f"JournalWriter({self._journal!r})"

    def recall(self, item: Item[Any, Any]) -> None:
        """Set an item's fingerprint, and its result if an earlier run has it.

        An item that cannot be encoded has that error as its outcome.

        Raises:
            ConfigurationError: The item is not the one that was answered.
        """
        try:
            encoded = self._codec.encode(item.value)
        except Exception as error:  # noqa: BLE001 - a traceback is for --debug
            item.fail(error)
            return
        item.fingerprint = fingerprint_of(encoded)
        known = self._journal.find(item.index, item.fingerprint)
        if known is not None:
            item.succeed(self._codec.load(known))

    def keep(self, batch: Batch[Any, Any]) -> None:
        """Write the outcomes of a call.

        A result that cannot be dumped becomes that error. A journal that cannot be written ends
        the run, since what follows would be lost.
        """
        for item in batch.items:
            try:
                self._keep(item)
            except Exception as error:  # noqa: BLE001 - a traceback is for --debug
                item.fail(error)

    def _keep(self, item: Item[Any, Any]) -> None:
        outcome = item.outcome
        data = b"" if item.is_error else self._codec.dump(outcome)
        try:
            if not item.is_error:
                self._journal.record(item.index, item.fingerprint, data)
            elif isinstance(outcome, Exception):
                self._journal.record_error(item.index, item.fingerprint, outcome)
        except OSError as error:
            error.filename = os.fspath(self._codec.path)
            item.fail(error, fatal=True)
        else:
            if not item.is_error:
                item.outcome = self._codec.unwrap(outcome)

    def close(self) -> None:
        """Force what was written to the disk and close the journal; it may be called again.

        Raises:
            OSError: It could not be written to the disk.
        """
        self._journal.close()
