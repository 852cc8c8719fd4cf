"""Files of this user alone: locks, checked reads, and writes that are whole or not at all.

What the route cache, journals and kept policies make of these is in their own tests.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sm_private_client.files import (
    AtomicFile,
    NotOursError,
    OwnedDirectory,
    open_ours,
    read_owned,
    try_lock,
)

posix = pytest.mark.skipif(os.name != "posix", reason="there are no such modes and links")


def test_a_lock_is_for_one_handle_at_a_time(tmp_path: Path) -> None:
    """Closing the file gives it back."""
    with OwnedDirectory(tmp_path) as directory:
        first, second = (directory.lock_file("lock") for _ in range(2))
        assert (try_lock(first), try_lock(second)) == (True, False)
        os.close(first)
        assert try_lock(second)
        os.close(second)


@pytest.mark.parametrize("over", [True, False])
def test_a_file_is_written_whole(tmp_path: Path, over: bool) -> None:
    """With its mode, and nothing else stays in the directory."""
    path = tmp_path / "file"
    with AtomicFile(path, over=over) as file:
        file.write(b"new")
        assert not path.exists()
        file.commit()
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"new", [path])
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_commit_nothing_stays(tmp_path: Path) -> None:
    """The old file is as it was."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with AtomicFile(path) as file:
        file.write(b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


@posix
@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Not even by a link to nowhere, nor on a file system without hard links."""

    def no_links(*_: object) -> None:
        raise OSError(95, "no links")

    if not links:
        monkeypatch.setattr("os.link", no_links)
    taken, linked = tmp_path / "taken", tmp_path / "linked"
    taken.write_bytes(b"old")
    linked.symlink_to(tmp_path / "nowhere")
    for path in (taken, linked):
        with AtomicFile(path, over=False) as file:
            file.write(b"new")
            with pytest.raises(FileExistsError):
                file.commit()
    assert taken.read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == {taken, linked}


@posix
def test_what_others_can_write_is_not_opened(tmp_path: Path) -> None:
    """Nor read, wherever it is."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o666)
    with pytest.raises(NotOursError, match="can be written by others"):
        open_ours(path, os.O_RDONLY)
    with pytest.raises(NotOursError, match="can be written by others"):
        read_owned(path, limit=1)


@posix
def test_a_file_of_another_user_may_be_opened_but_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared file systems give files to another user; what is believed must be our own."""
    path = tmp_path / "file"
    os.close(open_ours(path, os.O_RDWR | os.O_CREAT))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    os.close(open_ours(path, os.O_RDWR))
    with pytest.raises(NotOursError, match="belongs to another user"):
        read_owned(path, limit=1)


@posix
def test_a_link_is_followed_only_if_the_user_named_it(tmp_path: Path) -> None:
    """A planted one leads nowhere."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"12345")
    path.chmod(0o600)
    link.symlink_to(path)
    assert read_owned(link, limit=3) == b"1234"
    with pytest.raises(NotOursError, match="is a link"):
        open_ours(link, os.O_RDONLY)
    with OwnedDirectory(tmp_path) as directory, pytest.raises(NotOursError, match="is a link"):
        directory.read("link", limit=3)
