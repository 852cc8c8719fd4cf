"""The journal: what is in it comes back, whatever happened to the process that wrote it."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.mapping.journal import (
    LAST_ITEM,
    MAGIC,
    Journal,
    Record,
    fingerprint_of,
    pack_answer,
    pack_header,
    pack_record,
    unpack_answer,
)

RUN = {"endpoint_name": "churn", "codec": "application/json"}
PRINTS = [fingerprint_of(b"item %d" % index) for index in range(100)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


def written(path: Path, *values: bytes) -> bytes:
    with Journal(path, RUN) as journal:
        for index, value in enumerate(values):
            journal.record(index, PRINTS[index], value)
    return path.read_bytes()


def found(path: Path, count: int) -> list[bytes | None]:
    with Journal(path, RUN) as journal:
        return [journal.find(index, PRINTS[index]) for index in range(count)]


def test_what_was_recorded_is_found_by_the_next_run(path: Path) -> None:
    """In any order, with gaps, empty values and large ones."""
    large = os.urandom(3_000_000)
    with Journal(path, RUN) as journal:
        journal.record(7, PRINTS[7], b"seven")
        journal.record(0, PRINTS[0], b"")
        journal.record(2, PRINTS[2], large)
    with Journal(path, RUN) as journal:
        assert (journal.answered, journal.failed) == (3, 0)
        assert journal.find(0, PRINTS[0]) == b""
        assert journal.find(2, PRINTS[2]) == large
        assert journal.find(7, PRINTS[7]) == b"seven"
        assert [journal.find(i, PRINTS[i]) for i in (1, 3, 8, 99)] == [None] * 4


def test_a_run_adds_to_what_is_there(path: Path) -> None:
    """Records follow on, also after looking something up."""
    written(path, b"a", b"b")
    with Journal(path, RUN) as journal:
        assert journal.find(0, PRINTS[0]) == b"a"
        journal.record(2, PRINTS[2], b"c")
        assert journal.find(1, PRINTS[1]) == b"b"
        journal.record(3, PRINTS[3], b"d")
    assert found(path, 5) == [b"a", b"b", b"c", b"d", None]


def test_it_is_the_owners_alone(path: Path) -> None:
    """Mode 0600, also where the file was there with another one."""
    path.touch(mode=0o644)
    path.chmod(0o644)
    written(path, b"a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_holds_no_item(path: Path) -> None:
    """Of an item there is only its fingerprint; of an error the class and the code."""
    error = ClientError({"Error": {"Code": "ModelError", "Message": "secret text"}}, "Invoke")
    with Journal(path, RUN) as journal:
        journal.record(0, fingerprint_of(b"secret item"), b"answer")
        journal.record_error(1, fingerprint_of(b"secret item"), error)
        assert "secret" not in repr(journal)
    content = path.read_bytes()
    assert b"secret" not in content
    assert content.endswith(b"ClientError ModelError")


def test_an_error_is_noted_and_tried_again(path: Path) -> None:
    """An item that failed is not finished; what came of it last counts."""
    with Journal(path, RUN) as journal:
        journal.record_error(0, PRINTS[0], ValueError("x"))
        journal.record_error(1, PRINTS[1], ValueError("x"))
        journal.record(2, PRINTS[2], b"c")
    with Journal(path, RUN) as journal:
        assert (journal.answered, journal.failed) == (1, 2)
        assert journal.find(0, PRINTS[0]) is None
        journal.record(0, PRINTS[0], b"a")
    with Journal(path, RUN) as journal:
        assert (journal.answered, journal.failed) == (2, 1)
        assert journal.find(0, PRINTS[0]) == b"a"


def test_another_item_is_refused(path: Path) -> None:
    """The answer to another item is never given for this one."""
    written(path, b"a")
    with Journal(path, RUN) as journal, pytest.raises(ConfigurationError) as caught:
        journal.find(0, PRINTS[1])
    assert str(caught.value) == (
        f"Item 0 is not the one that the journal {path} has an answer for.\n"
        "Cause: the items are others or in another order, or are encoded otherwise.\n"
        "Remedy: give the same items in the same order, or another journal.\n"
        "See docs/errors.md#configuration"
    )


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        ({**RUN, "endpoint_name": "fraud"}, "endpoint_name was 'churn', is 'fraud'."),
        ({"codec": "application/json"}, "endpoint_name was 'churn', is None."),
        ({**RUN, "variant": "b"}, "variant was None, is 'b'."),
    ],
)
def test_the_journal_of_another_run_is_refused(path: Path, run: dict[str, str], cause: str) -> None:
    """The refusal says what differs, and leaves the file as it was."""
    before = written(path, b"a")
    with pytest.raises(ConfigurationError) as caught:
        Journal(path, run)
    assert str(caught.value).splitlines()[:2] == [
        f"The journal {path} is of another run.",
        f"Cause: {cause}",
    ]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"col,umn\n1,2\n", "it holds something else."),
        (b"\0" * 500, "it holds something else."),
        (b"sm-private-client journal 2\nabc", "another version wrote it."),
    ],
)
def test_what_is_no_journal_is_left_alone(path: Path, content: bytes, cause: str) -> None:
    """A file that happens to be at the path is not overwritten."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Journal(path, RUN)
    assert str(caught.value).splitlines()[:2] == [
        f"{path} is not a journal that can be read here.",
        f"Cause: {cause}",
    ]
    assert path.read_bytes() == content


def test_it_cannot_be_used_twice_at_once(path: Path) -> None:
    """A second run is refused, in this process too, until the first one is closed."""
    with Journal(path, RUN) as journal:
        journal.record(0, PRINTS[0], b"a")
        with pytest.raises(ConfigurationError) as caught:
            Journal(path, RUN)
    assert str(caught.value).splitlines()[:2] == [
        f"The journal {path} is in use.",
        "Cause: another run has it open, in this process or in another.",
    ]
    assert found(path, 1) == [b"a"]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: path / "missing" / "run.journal", "No such file or directory."),
        (lambda path: path, "Is a directory."),
    ],
    ids=["no directory", "a directory"],
)
def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path, make: Any, cause: str) -> None:
    """The refusal has the system's reason."""
    with pytest.raises(ConfigurationError) as caught:
        Journal(make(tmp_path), RUN)
    assert str(caught.value).splitlines()[:2] == [
        f"The journal {make(tmp_path)} cannot be opened.",
        f"Cause: {cause}",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_refused(path: Path) -> None:
    """What cannot be read back is no journal."""
    os.mkfifo(path)
    with pytest.raises(ConfigurationError) as caught:
        Journal(path, RUN)
    assert str(caught.value).splitlines()[1] == f"Cause: {path} is no ordinary file."


# What a kill leaves


def test_whatever_was_cut_off_the_rest_is_found(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut at any byte, a journal opens; each record that is whole is found, and more can follow."""
    whole = written(path, b"first", b"", b"third answer")
    header = len(pack_header(RUN))
    ends = [header + 53 + 5, header + 2 * 53 + 5, header + 3 * 53 + 17]
    assert ends[-1] == len(whole)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        caplog.clear()
        count = sum(end <= length for end in ends)
        expected = [b"first", b"", b"third answer"][:count]
        with Journal(path, RUN) as journal:
            assert [journal.find(i, PRINTS[i]) for i in range(count)] == expected
            assert journal.answered == count
            journal.record(50, PRINTS[50], b"new")
        assert bool(caplog.records) is (length > header and length not in ends)
        with Journal(path, RUN) as journal:
            assert journal.answered == count + 1
            assert journal.find(50, PRINTS[50]) == b"new"


@pytest.mark.parametrize("zeros", [1, 40, 53, 5_000_000])
def test_zeros_at_the_end_are_cut_off(
    path: Path, zeros: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine that died may leave them where the last records should stand."""
    whole = written(path, b"a", b"b")
    path.write_bytes(whole + b"\0" * zeros)
    assert found(path, 2) == [b"a", b"b"]
    assert path.read_bytes() == whole
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (
            logging.WARNING,
            f"{path} ended in a record that was not written whole; its item is called again.",
        )
    ]


def test_damage_in_the_midst_is_refused(path: Path) -> None:
    """A journal that something else wrote into is not quietly cut: its answers cost something."""
    whole = written(path, b"first", b"second", b"third")
    start = len(pack_header(RUN)) + 53 + 5
    for position in range(start, start + 53 + 6):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(ConfigurationError) as caught:
            Journal(path, RUN)
        assert str(caught.value).splitlines()[:2] == [
            f"The journal {path} is damaged at byte {start}.",
            "Cause: what stands there is not what a run wrote, and more follows it.",
        ]
        assert path.read_bytes() == damaged


def test_a_damaged_header_is_refused(path: Path) -> None:
    """It does not say which run it is, so it is nobody's."""
    damaged = bytearray(written(path, b"a"))
    damaged[45] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(ConfigurationError, match="is damaged at byte 28"):
        Journal(path, RUN)


def header_of(text: bytes, length: int | None = None) -> bytes:
    size = len(text) if length is None else length
    return MAGIC + struct.pack(">II", size, zlib.crc32(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        MAGIC + bytes(60),  # as a machine leaves it that died in the first moment
        header_of(b"[]"),
        header_of(b'"text"'),
        header_of(b'{"endpoint_name": 5}'),
        header_of(b"\xff\xfe"),
        header_of(b"[" * 100_000),
        header_of(b"{}", 0xFFFFFFFF),
    ],
    ids=["zeros", "list", "text", "number", "not UTF-8", "deep", "long"],
)
def test_a_header_that_says_no_run_is_refused(path: Path, content: bytes) -> None:
    """Whatever stands in the header, the error names the file, and the file stays as it was."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Journal(path, RUN)
    assert str(caught.value).splitlines()[0] == f"The journal {path} is damaged at byte 28."
    assert path.read_bytes() == content


@pytest.mark.parametrize("item", [LAST_ITEM + 1, 2**45, 2**63, 2**64 - 1])
def test_an_item_beyond_any_run_is_damage(path: Path, item: int) -> None:
    """A number that no run reaches is not written to, nor cut off as if a kill had left it."""
    content = pack_header(RUN) + pack_record(Record(item, 1, b"f" * 32, b"v"))
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is damaged at byte"):
        Journal(path, RUN)
    assert path.read_bytes() == content


@given(content=st.binary(max_size=200))
def test_any_bytes_after_the_magic_are_a_journal_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Nothing but ConfigurationError comes of what a file holds."""
    path = tmp_path_factory.mktemp("any") / "run.journal"
    path.write_bytes(MAGIC + content)
    with contextlib.suppress(ConfigurationError):
        Journal(path, RUN).close()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """A planted link makes no file elsewhere, and changes none."""
    other = tmp_path / "other"
    other.touch(mode=0o644)
    for target in (other, tmp_path / "missing"):
        path.symlink_to(target)
        with pytest.raises(ConfigurationError, match="is a link"):
            Journal(path, RUN)
        path.unlink()
    assert other.read_bytes() == b""
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
    assert not (tmp_path / "missing").exists()


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
@pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_refused(path: Path, bits: int) -> None:
    """The results of a run are not taken from a file that other users can write."""
    before = written(path, b"a")
    path.chmod(bits)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        Journal(path, RUN)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == bits


@pytest.mark.skipif(sys.platform == "win32", reason="there are no resource limits")
def test_a_full_disk_leaves_it_valid(path: Path) -> None:
    """A record that does not fit is an OSError; what was there before it stays, whole."""
    script = """
        import resource, signal, sys
        from sm_private_client.inference.mapping.journal import Journal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal = Journal(sys.argv[1], {"endpoint_name": "churn", "codec": "application/json"})
        journal.record(0, b"p" * 32, b"a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        try:
            journal.record(1, b"p" * 32, b"b" * 5000)
        except OSError as error:
            print(error.strerror)
        journal.record(2, b"p" * 32, b"c")
    """
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.stdout == "File too large\n"
    with Journal(path, RUN) as journal:
        found = [journal.find(index, b"p" * 32) for index in range(3)]
    assert found == [b"a", None, b"c"]


def test_it_is_forced_to_the_disk_about_every_second(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first record after each second, and at the end."""
    forced: list[float] = []
    now = [100.0]
    real = os.fsync

    def fsync(handle: int) -> None:
        forced.append(now[0])
        real(handle)

    journal = Journal(path, RUN, clock=lambda: now[0])
    monkeypatch.setattr(os, "fsync", fsync)
    for step in range(25):
        now[0] = 100 + step / 10
        journal.record(step, PRINTS[step], b"x")
    journal.close()
    journal.close()
    assert forced == [101.0, 102.0, 102.4]


def test_threads_record_without_mixing(path: Path) -> None:
    """Records of many threads all stand whole."""

    def record(first: int) -> None:
        for index in range(first, 2_000, 8):
            journal.record(index, fingerprint_of(b"%d" % index), b"%d" % index * 50)

    with Journal(path, RUN) as journal:
        threads = [threading.Thread(target=record, args=(first,)) for first in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Journal(path, RUN) as journal:
        for index in range(2_000):
            assert journal.find(index, fingerprint_of(b"%d" % index)) == b"%d" % index * 50


# The bytes


@given(st.binary(max_size=300), st.text(max_size=40))
def test_a_raw_answer_survives(body: bytes, content_type: str) -> None:
    """Body and content type come back as they were."""
    assert unpack_answer(pack_answer(body, content_type)) == (body, content_type)


def test_the_format_is_what_the_documentation_says(path: Path) -> None:
    """Another program can read it: these are the bytes of a journal with one record."""
    run = b'{"codec": "application/json", "endpoint_name": "churn"}'
    what = (5).to_bytes(8, "big") + b"\x01" + (3).to_bytes(4, "big") + PRINTS[5]
    with Journal(path, RUN) as journal:
        journal.record(5, PRINTS[5], b"yes")
    assert path.read_bytes() == b"".join(
        [
            b"sm-private-client journal 1\n",
            *(number.to_bytes(4, "big") for number in (len(run), zlib.crc32(run))),
            run,
            what,
            *(zlib.crc32(part).to_bytes(4, "big") for part in (what, b"yes")),
            b"yes",
        ]
    )
