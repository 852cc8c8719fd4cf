"""Variables as lines of a shell, or of a ``.env`` file; pure."""

from __future__ import annotations

import enum
import re
import shlex
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Shell", "lines_for", "shell_of"]


class Shell(str, enum.Enum):
    """What reads the lines."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"
    DOTENV = "dotenv"


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=*\[\]-]*\Z")
"""What every reader of ``.env`` files takes without quotes; Docker's takes no quotes at all."""

_POWERSHELL_QUOTES: Final = "'\u2018\u2019\u201a\u201b"
"""PowerShell's language specification, section 2.3.5.2: all of these end a quoted text."""


def shell_of(environ: Mapping[str, str], *, platform: str) -> Shell:
    """Gives the shell that a process was probably started from; bash where nothing says so."""
    if platform == "win32":
        return Shell.POWERSHELL
    name = environ.get("SHELL", "").rpartition("/")[2]
    return Shell(name) if name in (Shell.ZSH.value, Shell.FISH.value) else Shell.BASH


def lines_for(
    shell: Shell, variables: Mapping[str, str], *, notes: Sequence[str] = ()
) -> Iterator[str]:
    """Gives a line for each variable, after a comment for each note.

    Raises:
        ConfigurationError: A value cannot be written for this reader.
    """
    for note in notes:
        yield f"# {note}"
    for name, value in variables.items():
        yield _line(shell, name, value)


def _line(shell: Shell, name: str, value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ConfigurationError(
            f"{name} would have a line end in it.",
            cause=f"the value of {name} that is set now has one.",
            remedy=f"set {name} to one line first.",
        )
    if shell is Shell.FISH:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"
    if shell is Shell.POWERSHELL:
        escaped = "".join(2 * c if c in _POWERSHELL_QUOTES else c for c in value)
        return f"$env:{name} = '{escaped}'"
    if shell is Shell.DOTENV:
        if _PLAIN.match(value):
            return f"{name}={value}"
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{name}='{escaped}'"
    return f"export {name}={shlex.quote(value)}"
