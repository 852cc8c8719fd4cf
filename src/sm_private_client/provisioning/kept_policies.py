"""Files with the policy that a VPC endpoint had before."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sm_private_client.errors import ConfigurationError, PolicyError
from sm_private_client.policy.documents import PolicyDocument, to_json
from sm_private_client.policy.parsing import parse

__all__ = ["AttachedPolicy", "KeptPolicy", "keep", "read_attached", "read_kept", "text_of"]

AttachedPolicy = PolicyDocument | str
"""A document that EC2 has taken: read, or its text where it breaks the grammar that we know."""

_READABLE_BY_OWNER: Final = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPolicy:
    """What such a file holds.

    Attributes:
        vpc_endpoint_id: The VPC endpoint that had it.
        region: Its region.
        policy: The document.
    """

    vpc_endpoint_id: str
    region: str
    policy: AttachedPolicy


def read_attached(text: str) -> AttachedPolicy:
    """Reads a document that is in force; gives its text where it cannot be read."""
    try:
        return parse(text)
    except PolicyError:
        return text


def text_of(policy: AttachedPolicy) -> str:
    """Writes a document as EC2 takes it, without white space; a text as it is."""
    return policy if isinstance(policy, str) else to_json(policy, indent=None)


def keep(kept: KeptPolicy, path: Path, *, stamp: str) -> None:
    """Writes a document to a new file: whole or not at all, for its owner only.

    Args:
        kept: What to write.
        path: Where; over no other file.
        stamp: The time, as it is in the name.

    Raises:
        OSError: It could not be written; ``FileExistsError`` where the file is there.
    """
    policy = kept.policy
    content = {
        "vpc_endpoint_id": kept.vpc_endpoint_id,
        "region": kept.region,
        "kept": stamp,
        "policy": policy if isinstance(policy, str) else policy.as_dict(),
    }
    text = json.dumps(content, indent=2) + "\n"
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        _write(handle, text)
        try:
            os.link(temporary, path)  # fails where the file is there
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as exFAT and some shares
            _write_new(path, text)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _write_new(path: Path, text: str) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _READABLE_BY_OWNER)
    try:
        _write(handle, text)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _write(handle: int, text: str) -> None:
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_kept(path: Path) -> KeptPolicy:
    """Reads a file that ``keep`` wrote.

    Raises:
        ConfigurationError: It is another one.
        OSError: It could not be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vpc_endpoint_id, region, found = (
            content[name] for name in ("vpc_endpoint_id", "region", "policy")
        )
        policy = read_attached(found) if isinstance(found, str) else parse(found)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not a file that apply_policy wrote.",
            cause=f"{type(error).__name__}: {error}".partition("\n")[0] + ".",
            remedy="name the file that apply_policy gave as kept_in.",
        ) from None
    return KeptPolicy(vpc_endpoint_id=str(vpc_endpoint_id), region=str(region), policy=policy)
