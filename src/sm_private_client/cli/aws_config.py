"""The AWS config file: its text, and private routes written into a profile of it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import re
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.configloader
from botocore.exceptions import ConfigNotFound, ConfigParseError

from sm_private_client.cli.sdk_variables import IGNORE_URLS, service_key
from sm_private_client.errors import ConfigurationError
from sm_private_client.files import OWNER_ONLY, AtomicFile, real_path, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ProfileChange", "write_profile"]

_URL: Final = "endpoint_url"
_NOT_IN_HEADERS: Final = frozenset("[]\r\n\0")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileChange:
    """What was done to a config file.

    Attributes:
        path: The file, links followed.
        section: The ``services`` section of the profile.
        changed: The file had to be changed.
        backup: The copy of the old file; ``None`` if there was none, or nothing changed.
    """

    path: Path
    section: str
    changed: bool
    backup: Path | None = None


def write_profile(
    path: str,
    profile: str,
    *,
    region: str,
    urls: Mapping[str, str],
    served: Mapping[str, str],
    fips: bool,
    merge: bool,
) -> ProfileChange:
    """Write the URLs of services into a profile; running it again changes nothing.

    Args:
        path: The config file; it and its directory are created if they are not there.
        profile: The profile's name; one that is not there is created, with its region.
        region: The region of the URLs.
        urls: By boto3's name of the service.
        served: URLs of what private DNS serves: they only replace URLs that are there.
        fips: The URLs are FIPS ones.
        merge: Write into the ``services`` section that the profile has, if that is another one.

    Raises:
        ConfigurationError: The file cannot be read or written, or contradicts this. It is left as
            it was.
    """
    if not profile or _NOT_IN_HEADERS & set(profile):
        raise ConfigurationError(
            f"{profile!r} cannot be the name of a profile.",
            remedy="pass --write-profile a name without brackets and line ends.",
        )
    target = real_path(Path(os.path.expandvars(path)).expanduser())
    try:
        before = _content(target)
        parsed = _parsed(target)
        section = _section_for(
            parsed, profile, target, region=region, fips=fips or not urls, merge=merge
        )
        present = parsed["services"].get(section, {})
        replaced = {
            name: url
            for name, url in served.items()
            if isinstance(nested := present.get(service_key(name)), dict) and _URL in nested
        }
        new_urls = {**replaced, **urls}
        text = _ConfigText((before or b"").decode("utf-8", "surrogateescape"))
        expected = _edit(text, parsed, profile, section, region, new_urls)
        after = str(text).encode("utf-8", "surrogateescape")
        if not new_urls or after == before:
            return ProfileChange(path=target, section=section, changed=False)
        backup = _write(target, before, after, expected)
    except OSError as error:
        raise ConfigurationError(
            f"The AWS config file {target} cannot be read or written; it is as it was.",
            cause=f"{error.strerror}.",
            remedy="set AWS_CONFIG_FILE to a file of yours, or see to its permissions.",
        ) from error
    return ProfileChange(path=target, section=section, changed=True, backup=backup)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = botocore.configloader.load_config(str(path))
    except ConfigNotFound:
        found = botocore.configloader.build_profile_map({})
    except ConfigParseError as error:
        raise ConfigurationError(
            f"The AWS config file {path} cannot be read; it is left as it was.",
            cause="botocore finds a mistake in it.",
            remedy="run `aws configure list` to see what it says, and mend the file.",
        ) from error
    return found


def _section_for(
    parsed: Mapping[str, Any],
    profile: str,
    path: Path,
    *,
    region: str,
    fips: bool,
    merge: bool,
) -> str:
    """Return the section to write to, if nothing in the profile contradicts.

    Raises:
        ConfigurationError: It does.
    """
    options: Mapping[str, Any] = parsed["profiles"].get(profile, {})
    own = f"{profile}-private"
    named = options.get("services", own)
    if named != own and not merge:
        raise ConfigurationError(
            f"The profile {profile!r} of {path} has services = {named} already.",
            cause="a profile has one services section.",
            remedy=(
                f"pass --merge to set the URLs in [services {named}]",
                "or write to another profile.",
            ),
        )
    if options.get("region", region) != region:
        raise ConfigurationError(
            f"The profile {profile!r} of {path} is of {options['region']}, the URLs are of "
            f"{region}.",
            remedy=f"pass --region {options['region']}, or write to another profile.",
        )
    if str(options.get("use_fips_endpoint", "")).lower() == "true" and not fips:
        raise ConfigurationError(
            f"The profile {profile!r} of {path} asks for FIPS, and the URLs are not FIPS ones.",
            cause="they were found without that profile, and a custom URL turns FIPS off.",
            remedy=f"pass --profile {profile} too.",
        )
    if str(options.get(IGNORE_URLS, "")).lower() == "true":
        raise ConfigurationError(
            f"The profile {profile!r} of {path} has {IGNORE_URLS} = true.",
            cause="no SDK would read the URLs, and calls would go out publicly.",
            remedy="take that line out.",
        )
    return str(named)


def _edit(
    text: _ConfigText,
    parsed: Mapping[str, Any],
    profile: str,
    section: str,
    region: str,
    urls: Mapping[str, str],
) -> dict[str, Any]:
    """Change the text, and return what botocore must read in it then."""
    expected = copy.deepcopy(dict(parsed))
    header: tuple[str, ...] = ("profile", profile)
    if profile == "default" and not text.has(header):
        header = ("default",)
    if profile not in parsed["profiles"]:
        text.set_option(header, "region", region)
        expected["profiles"][profile] = {"region": region}
    text.set_option(header, "services", section)
    expected["profiles"][profile]["services"] = section
    services = expected["services"].setdefault(section, {})
    for name, url in urls.items():
        key = service_key(name)
        text.set_nested(("services", section), key, _URL, url)
        nested = services.get(key)
        services[key] = {**(nested if isinstance(nested, dict) else {}), _URL: url}
    return expected


def _write(
    path: Path, before: bytes | None, after: bytes, expected: Mapping[str, Any]
) -> Path | None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = OWNER_ONLY if before is None else stat.S_IMODE(path.stat().st_mode)
    with AtomicFile(path, mode=mode) as file:
        file.write(after)
        file.flush()
        # botocore itself has the last word: what it reads must be the old and the change.
        if _read_back(file.temporary) != expected and _content(path) == before:
            raise ConfigurationError(
                f"The AWS config file {path} is written in a way that cannot be changed safely.",
                cause="a section or an option of it is indented, repeated or unusual.",
                remedy="write the lines of `sm-private-client env` into it by hand.",
            )
        with _locked(path.parent) as is_locked:
            if not is_locked or _content(path) != before:
                raise ConfigurationError(
                    f"The AWS config file {path} was changed by another program just now.",
                    remedy="run it again.",
                )
            backup = None if before is None else _back_up(path, before)
            file.commit()
    return backup


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Lock a directory for a ``with`` block; yield False if another run of this program has it.

    The file itself cannot be locked: it is replaced, and perhaps not there yet.
    """
    if sys.platform == "win32":  # there directories cannot be opened
        yield True
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        yield try_lock(handle)
    finally:
        os.close(handle)


def _read_back(path: Path) -> dict[str, Any] | None:
    try:
        return _parsed(path)
    except ConfigurationError:
        return None


def _back_up(path: Path, content: bytes) -> Path:
    """Keep the old content under the first free name: ``config.bak``, then ``config.bak1``."""
    for number in itertools.count():
        backup = path.with_name(f"{path.name}.bak{number or ''}")
        with AtomicFile(backup, over=False) as file, contextlib.suppress(FileExistsError):
            file.write(content)
            file.commit()
            break
    return backup


_HEADER: Final = re.compile(r"\[(?P<header>[^\]]+)\]")
_OPTION: Final = re.compile(
    r"(?P<start>\s*(?P<key>[^\s=:#;][^=:]*?)\s*[=:][ \t]*)(?P<value>.*?)\s*\Z"
)
_INDENT: Final = "  "


class _ConfigText:
    """The text of a config file, changed line by line.

    Args:
        text: The text; line ends of either kind.
    """

    def __init__(self, text: str) -> None:
        self._end = "\r" if "\r\n" in text else ""  # before each \n
        self._lines = text.split("\n")

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def has(self, section: Sequence[str]) -> bool:
        """Return True if there is a section, by the words of its header."""
        return any(_words(header) == list(section) for _, header in self._headers())

    def set_option(self, section: Sequence[str], key: str, value: str) -> None:
        """Set an option of a section; both are added if they are not there.

        Args:
            section: The words of its header, such as ``("profile", "prod")``.
            key: The option's name.
            value: Its value.
        """
        start, end = self._section(section)
        found = self._option(key, start, end)
        if found is None:
            self._lines.insert(start, f"{key} = {value}{self._end}")
        else:
            self._replace(found, value)

    def set_nested(self, section: Sequence[str], key: str, nested: str, value: str) -> None:
        """Set an option that is indented below an option of a section; see ``set_option``."""
        start, end = self._section(section)
        found = self._option(key, start, end)
        if found is None:
            while end > start and not self._is_content(end - 1):
                end -= 1  # what is blank or a comment before a header belongs to what follows
            added = [f"{key} =", f"{_INDENT}{nested} = {value}"]
            self._lines[end:end] = [line + self._end for line in added]
            return
        last = found + 1
        while last < end and (self._lines[last][:1].isspace() or not self._is_content(last)):
            last += 1
        inner = self._option(nested, found + 1, last, is_nested=True)
        if inner is None:
            self._lines.insert(found + 1, f"{_INDENT}{nested} = {value}{self._end}")
        else:
            self._replace(inner, value)

    def _section(self, section: Sequence[str]) -> tuple[int, int]:
        """Return the first line below a section's header, and the line after its last."""
        headers = self._headers()
        for place, (number, header) in enumerate(headers):
            if _words(header) == list(section):
                if place + 1 < len(headers):
                    return number + 1, headers[place + 1][0]
                # What follows the last line end is no line.
                return number + 1, len(self._lines) - (not self._lines[-1])
        return self._append(section)

    def _headers(self) -> list[tuple[int, str]]:
        return [
            (number, found["header"])
            for number, line in enumerate(self._lines)
            if (found := _HEADER.match(line))
        ]

    def _append(self, section: Sequence[str]) -> tuple[int, int]:
        if self._lines[-1]:  # the last line has no end
            self._lines[-1] += self._end
            self._lines.append("")
        if len(self._lines) > 1 and self._lines[-2].strip():
            self._lines.insert(-1, self._end)
        self._lines.insert(-1, f"[{shlex.join(section)}]{self._end}")
        place = len(self._lines) - 1
        return place, place

    def _option(self, key: str, start: int, end: int, *, is_nested: bool = False) -> int | None:
        for number in range(start, end):
            line = self._lines[number]
            found = _OPTION.match(line)
            if found and found["key"] == key and line[:1].isspace() == is_nested:
                return number
        return None

    def _replace(self, number: int, value: str) -> None:
        found = _OPTION.match(self._lines[number])
        if found is not None and found["value"] != value:
            self._lines[number] = f"{found['start']}{value}{self._end}"

    def _is_content(self, number: int) -> bool:
        line = self._lines[number].strip()
        return bool(line) and not line.startswith(("#", ";"))


def _words(header: str) -> list[str]:
    try:
        return shlex.split(header)
    except ValueError:  # a quotation mark without its other half
        return []
