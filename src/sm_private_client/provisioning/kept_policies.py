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
from sm_private_client.privatelink.hostnames import is_vpc_endpoint_id
from sm_private_client.routing.owned_files import NotOursError, read_owned

__all__ = ["AttachedPolicy", "KeptPolicy", "keep", "read_attached", "read_kept", "text_of"]

AttachedPolicy = PolicyDocument | str
"""A document that EC2 has taken: read, or its text where it breaks the grammar that we know."""

_READABLE_BY_OWNER: Final = 0o600
_LARGEST: Final = 1 << 18  # a policy has 20,480 characters at most, each escaped in six bytes


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
        ConfigurationError: It is another one, or another user can have written it.
        OSError: It could not be read.
    """
    try:
        text = read_owned(path, limit=_LARGEST)
        if len(text) > _LARGEST:
            raise ValueError(f"it is longer than {_LARGEST} bytes")
        content = json.loads(text)
        vpc_endpoint_id, region, found = (
            content[name] for name in ("vpc_endpoint_id", "region", "policy")
        )
        if not (isinstance(vpc_endpoint_id, str) and is_vpc_endpoint_id(vpc_endpoint_id)):
            raise ValueError("it names no VPC endpoint")
        policy = read_attached(found) if isinstance(found, str) else parse(found)
    except NotOursError as error:
        raise ConfigurationError(
            f"{error}; nothing was restored.",
            cause="a policy that another user wrote would decide who may call.",
            remedy=f"look at it, and if it is yours: chmod go-w {path}, or chown.",
        ) from None
    except RecursionError:
        raise _not_kept(path, "it is nested too deeply") from None
    except (ValueError, KeyError, TypeError) as error:
        cause = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise _not_kept(path, cause) from None
    return KeptPolicy(vpc_endpoint_id=vpc_endpoint_id, region=str(region), policy=policy)


def _not_kept(path: Path, cause: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not a file that apply_policy wrote.",
        cause=f"{cause}.",
        remedy="name the file that apply_policy gave as kept_in.",
    )
