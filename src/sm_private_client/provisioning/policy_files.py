"""Policies of VPC endpoints: checked before they are attached, and kept in files afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import ConfigurationError, PolicyError
from sm_private_client.files import AtomicFile, NotOursError, read_owned
from sm_private_client.policy.documents import PolicyDocument, to_json
from sm_private_client.policy.parsing import parse
from sm_private_client.policy.validation import check
from sm_private_client.privatelink.hostnames import is_vpc_endpoint_id

if TYPE_CHECKING:
    from pathlib import Path

    from sm_private_client.policy.documents import Problem
    from sm_private_client.policy.parsing import Policy

__all__ = [
    "AttachedPolicy",
    "KeptPolicy",
    "as_json",
    "as_text",
    "is_same_policy",
    "read_attached",
    "read_kept",
    "validated",
    "write_kept",
]

AttachedPolicy = PolicyDocument | str
"""A document that EC2 has taken; its text, if it breaks the grammar that is known here."""

_LARGEST: Final = 1 << 18  # a policy has 20,480 characters at most, each escaped in six bytes


def validated(
    policy: Policy, *, endpoint_service: str, region: str
) -> tuple[PolicyDocument, tuple[Problem, ...]]:
    """Return a policy that can be attached to a VPC endpoint, and what is likely not meant in it.

    Raises:
        PolicyError: AWS would refuse it, or it could never do what it says.
    """
    problems = check(policy, kind="endpoint", endpoint_service=endpoint_service, region=region)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        listed = "".join(f"\n  {one.place or 'document'}: {one.message}" for one in errors)
        raise PolicyError(
            f"The policy cannot be attached to a VPC endpoint of {endpoint_service}:{listed}",
            place=errors[0].place,
            remedy=tuple(dict.fromkeys(problem.remedy for problem in errors)),
        )
    return parse(policy), problems


def read_attached(text: str) -> AttachedPolicy:
    """Return a document that is in force; its text if it cannot be read."""
    try:
        return parse(text)
    except PolicyError:
        return text


def as_text(policy: AttachedPolicy) -> str:
    """Return a document as EC2 takes it, without white space; a text as it is."""
    return policy if isinstance(policy, str) else to_json(policy, indent=None)


def as_json(policy: AttachedPolicy) -> dict[str, Any] | str:
    """Return a document as JSON can hold it."""
    return policy if isinstance(policy, str) else policy.as_dict()


def is_same_policy(one: str, other: str) -> bool:
    """Return True if two texts are the same document; white space and lists of one do not count."""
    return as_text(read_attached(one)) == as_text(read_attached(other))


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPolicy:
    """The policy that a VPC endpoint had before a change."""

    vpc_endpoint_id: str
    region: str
    policy: AttachedPolicy


def write_kept(kept: KeptPolicy, path: Path, *, stamp: str) -> None:
    """Write a policy to a new file: whole or not at all, for its owner only.

    Raises:
        OSError: It could not be written; ``FileExistsError`` if the file exists.
    """
    content = {
        "vpc_endpoint_id": kept.vpc_endpoint_id,
        "region": kept.region,
        "kept": stamp,
        "policy": as_json(kept.policy),
    }
    with AtomicFile(path, over=False) as file:
        file.write(f"{json.dumps(content, indent=2)}\n".encode())
        file.commit()


def read_kept(path: Path) -> KeptPolicy:
    """Read a file that ``write_kept`` wrote.

    Raises:
        ConfigurationError: It is another file, or another user can have written it.
        OSError: It could not be read.
    """
    try:
        text = read_owned(path, limit=_LARGEST)
        if len(text) > _LARGEST:
            raise ValueError(f"it is longer than {_LARGEST} bytes")
        content = json.loads(text)
        vpc_endpoint_id, policy = content["vpc_endpoint_id"], content["policy"]
        if not (isinstance(vpc_endpoint_id, str) and is_vpc_endpoint_id(vpc_endpoint_id)):
            raise ValueError("it names no VPC endpoint")
        return KeptPolicy(
            vpc_endpoint_id=vpc_endpoint_id,
            region=str(content["region"]),
            policy=read_attached(policy) if isinstance(policy, str) else parse(policy),
        )
    except NotOursError as error:
        raise ConfigurationError(
            f"{error}; nothing was restored.",
            cause="a policy that another user wrote would decide who may call.",
            remedy=f"look at it, and if it is yours: chmod go-w {path}, or chown.",
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        too_deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if too_deep else f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"{path} is not a file that apply_policy wrote.",
            cause=f"{reason.partition(chr(10))[0]}.",
            remedy="name the file that apply_policy gave as kept_in.",
        ) from None
