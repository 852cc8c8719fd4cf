"""Endpoint policies as they are attached: read, checked, written without white space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from sm_private_client.errors import ConfigurationError, PolicyError
from sm_private_client.files import AtomicFile, NotOursError, read_owned
from sm_private_client.policy.building import EndpointPolicy
from sm_private_client.policy.documents import PolicyDocument, to_json
from sm_private_client.policy.parsing import parse
from sm_private_client.policy.validation import check
from sm_private_client.privatelink.hostnames import is_vpc_endpoint_id

if TYPE_CHECKING:
    from pathlib import Path

    from sm_private_client.policy.documents import Problem

__all__ = [
    "AnyPolicy",
    "AttachedPolicy",
    "KeptPolicy",
    "accepted",
    "keep",
    "of_one_service",
    "read_attached",
    "read_kept",
    "same_rights",
    "text_of",
]

AnyPolicy = PolicyDocument | EndpointPolicy | str | Mapping[str, Any]
"""A policy as it may be given: read, built, JSON text, or what ``json.loads`` gives of it."""


def accepted(
    policy: AnyPolicy, *, endpoint_service: str, region: str
) -> tuple[PolicyDocument, tuple[Problem, ...]]:
    """Reads a policy that is to be attached to a VPC endpoint.

    Args:
        policy: The policy.
        endpoint_service: Name of the VPC endpoint's service.
        region: Its region.

    Returns:
        The document, and what is likely not meant.

    Raises:
        PolicyError: AWS would refuse it, or it could never do what it says.
    """
    given = policy.document if isinstance(policy, EndpointPolicy) else policy
    problems = check(given, kind="endpoint", endpoint_service=endpoint_service, region=region)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        told = "".join(
            f"\n  {problem.place or 'document'}: {problem.message}" for problem in errors
        )
        raise PolicyError(
            f"The policy cannot be attached to a VPC endpoint of {endpoint_service}:{told}",
            place=errors[0].place,
            remedy=tuple(dict.fromkeys(problem.remedy for problem in errors)),
        )
    return parse(given), problems


def of_one_service(
    policy: AnyPolicy | Mapping[str, AnyPolicy] | None, service: str, *, in_family: bool
) -> AnyPolicy | None:
    """Gives the policy that is meant for one service.

    Args:
        policy: One policy, which is meant for the SageMaker family, or a mapping from the words
            of ``services`` to policies.
        service: The word.
        in_family: Whether it is of the SageMaker family and not for browsers only.
    """
    if by_service(policy):
        return cast("Mapping[str, AnyPolicy]", policy).get(service)
    return cast("AnyPolicy | None", policy) if in_family else None


def by_service(policy: object) -> bool:
    """Says whether it is a mapping from services to policies, rather than one document."""
    return isinstance(policy, Mapping) and "Statement" not in policy


def same_rights(one: str, other: str) -> bool:
    """Says whether two texts are the same document; white space and lists of one do not count."""
    try:
        return to_json(parse(one)) == to_json(parse(other))
    except PolicyError:
        return one == other


AttachedPolicy = PolicyDocument | str
"""A document that EC2 has taken: read, or its text where it breaks the grammar that we know."""

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
    with AtomicFile(path, over=False) as file:
        file.write(f"{json.dumps(content, indent=2)}\n".encode())
        file.commit()


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
