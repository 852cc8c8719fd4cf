r"""The bytes of a journal: a header that says which run it is, then one record an item.

All numbers are big-endian::

    header   "sm-private-client journal 1\n", length:u32, crc:u32, JSON of what the run is
    record   item:u64, kind:u8, length:u32, fingerprint:32 bytes, crc of these:u32,
             crc of the value:u32, value

Records are whole or they are the last: a file that a killed process leaves ends in a part of one
at the most, and one whose machine died may end in zeros as well.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import IO, TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ANSWER",
    "ERROR",
    "FAMILY",
    "LAST_ITEM",
    "MAGIC",
    "Record",
    "is_torn",
    "pack_header",
    "pack_record",
    "read_record",
    "read_run",
    "scan",
]

FAMILY: Final = b"sm-private-client journal "
"""What a journal of any version begins with."""

MAGIC: Final = FAMILY + b"1\n"
"""What a journal of this version begins with."""

LAST_ITEM: Final = 1 << 40
"""More than a run can have; what numbers its item higher is damaged."""

ANSWER: Final = 1
ERROR: Final = 2

_COUNT: Final = struct.Struct(">II")
_WHAT: Final = struct.Struct(">QBI32s")
_CHECKS: Final = struct.Struct(">II")
_HEAD: Final = _WHAT.size + _CHECKS.size
_BLOCK: Final = 1 << 20


class Record(NamedTuple):
    """One item that was finished.

    Attributes:
        item: Its place among the items, from 0.
        kind: ``ANSWER`` or ``ERROR``.
        fingerprint: The SHA-256 of its encoded form.
        value: The result; of an error its class and the service's code.
    """

    item: int
    kind: int
    fingerprint: bytes
    value: bytes


def pack_header(run: Mapping[str, str]) -> bytes:
    """Gives the header of a run's journal; the same run always has the same."""
    text = json.dumps(dict(run), sort_keys=True).encode()
    return MAGIC + _COUNT.pack(len(text), zlib.crc32(text)) + text


def read_run(file: IO[bytes]) -> dict[str, str] | None:
    """Reads what the run is, from after the magic; ``None`` where that is damaged."""
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


def pack_record(record: Record) -> bytes:
    """Gives a record as bytes."""
    what = _WHAT.pack(record.item, record.kind, len(record.value), record.fingerprint)
    return what + _CHECKS.pack(zlib.crc32(what), zlib.crc32(record.value)) + record.value


def read_record(file: IO[bytes]) -> Record | None:
    """Reads the record that stands here; ``None`` where none does that is whole."""
    head = file.read(_HEAD)
    if not _is_head(head):
        return None
    item, kind, length, fingerprint = _WHAT.unpack_from(head)
    if item > LAST_ITEM or (length > _BLOCK and length > _left(file)):
        return None
    value = file.read(length)
    _, check = _CHECKS.unpack_from(head, _WHAT.size)
    if len(value) < length or zlib.crc32(value) != check:
        return None
    return Record(item, kind, fingerprint, value)


def _left(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size - file.tell()


def scan(file: IO[bytes]) -> Iterator[tuple[int, Record]]:
    """Gives each record from here with its position, up to the first that is not whole."""
    position = file.tell()
    while (record := read_record(file)) is not None:
        yield position, record
        position += _HEAD + len(record.value)


def is_torn(file: IO[bytes], position: int, size: int) -> bool:
    """Says whether what is not whole here is what a kill leaves, at the end of the file.

    Args:
        file: The journal.
        position: Where the first record that is not whole begins.
        size: The length of the file.
    """
    file.seek(position)
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        return True
    if _is_head(head):
        item, _, length, _ = _WHAT.unpack_from(head)
        return bool(item <= LAST_ITEM and position + _HEAD + length >= size)
    file.seek(position)
    return not any(any(block) for block in iter(lambda: file.read(_BLOCK), b""))


def _is_head(head: bytes) -> bool:
    if len(head) < _HEAD:
        return False
    check: int = _CHECKS.unpack_from(head, _WHAT.size)[0]
    return zlib.crc32(head[: _WHAT.size]) == check
