"""Change the policy of a VPC endpoint: checked first, compared, the old one kept in a file."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import ConfigurationError, ProvisioningError
from sm_private_client.policy.actions import INVOKING
from sm_private_client.policy.diff import Change, diff
from sm_private_client.policy.documents import PolicyDocument
from sm_private_client.policy.validation import check
from sm_private_client.provisioning.account import Account, ec2_of, why
from sm_private_client.provisioning.policy_files import (
    AnyPolicy,
    AttachedPolicy,
    KeptPolicy,
    accepted,
    keep,
    read_attached,
    read_kept,
    text_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from sm_private_client.policy.documents import Problem
    from sm_private_client.privatelink.records import VpcEndpoint
    from sm_private_client.session import Session

__all__ = [
    "ALLOW_ALL",
    "PolicyChange",
    "apply_policy",
    "compare_kept_policy",
    "compare_policy",
    "restore_policy",
]

ALLOW_ALL: Final = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'
"""What EC2 attaches where no policy is given (PrivateLink guide, "Default endpoint policy")."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChange:
    """What a new policy changes on a VPC endpoint.

    Attributes:
        vpc_endpoint_id: The VPC endpoint.
        endpoint_service: Name of its service.
        old: The document that is, or was, in force; its text where it breaks the grammar that is
            known here.
        new: The document that would be, or is; as ``old`` where it is given back.
        rights: The rights that are given and taken, among the calls that were tried; none where a
            document cannot be read.
        tried: How many calls were tried.
        warnings: What is likely not meant in the new one.
        kept_in: The file with the old document; ``None`` where nothing was changed.
    """

    vpc_endpoint_id: str
    endpoint_service: str
    old: AttachedPolicy
    new: AttachedPolicy
    rights: tuple[Change, ...]
    tried: int
    warnings: tuple[Problem, ...] = ()
    kept_in: Path | None = None

    @property
    def is_change(self) -> bool:
        """Whether the documents differ at all."""
        return text_of(self.old) != text_of(self.new)

    @property
    def is_readable(self) -> bool:
        """Whether both documents can be read, so that their rights can be compared."""
        return isinstance(self.old, PolicyDocument) and isinstance(self.new, PolicyDocument)

    def __str__(self) -> str:
        """One line a right that is given (``+``) or taken (``-``), then the warnings."""
        lines = [f"Policy of {self.vpc_endpoint_id} ({self.endpoint_service})"]
        lines += [str(change) for change in self.rights]
        if not self.is_change:
            lines.append("The documents are the same.")
        elif not self.is_readable:
            which = "old" if isinstance(self.old, str) else "new"
            lines.append(f"The {which} document cannot be read, so no rights were compared.")
        elif not self.rights:
            lines.append(f"No right changes among the {self.tried} calls that were tried.")
        lines += [str(problem) for problem in self.warnings]
        if self.kept_in is not None:
            lines.append(f"The old document is in {self.kept_in}.")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Gives the change as JSON can hold it."""
        return {
            "vpc_endpoint_id": self.vpc_endpoint_id,
            "endpoint_service": self.endpoint_service,
            "old": _as_json(self.old),
            "new": _as_json(self.new),
            "given": [_right(change) for change in self.rights if change.is_given],
            "taken": [_right(change) for change in self.rights if not change.is_given],
            "tried": self.tried,
            "warnings": [str(problem) for problem in self.warnings],
            "kept_in": str(self.kept_in) if self.kept_in else None,
        }


def compare_policy(
    session: Session,
    vpc_endpoint_id: str,
    policy: AnyPolicy,
    *,
    actions: Sequence[str] = (),
    resources: Sequence[str] = (),
    principals: Sequence[str] = (),
) -> PolicyChange:
    """Says what a policy would change on a VPC endpoint; looks, and changes nothing.

    Calls are tried one by one on both documents. Besides those given, every action, resource
    and principal is tried that one of the documents names, and the calls of a model. A text with
    a wildcard stands for what it covers and nobody names; so does the principal ``*``.

    Args:
        session: Whose account and region.
        vpc_endpoint_id: The VPC endpoint.
        policy: The new policy.
        actions: More actions to try, such as ``sagemaker:CreateModel``.
        resources: More resources to try: ARNs.
        principals: More principals to try: ARNs or account ids.

    Raises:
        PolicyError: AWS would refuse the policy, or it could never do what it says.
        ConfigurationError: There is no such VPC endpoint.
        DiscoveryError: EC2 could not be asked; the permission is named.
    """
    found = _found(session, vpc_endpoint_id)
    new, problems = accepted(
        policy, endpoint_service=found.endpoint_service, region=str(session.region_name)
    )
    return _compared(found, new, problems, actions, resources, principals)


def _compared(
    found: VpcEndpoint,
    new: AttachedPolicy,
    problems: tuple[Problem, ...],
    actions: Sequence[str] = (),
    resources: Sequence[str] = (),
    principals: Sequence[str] = (),
) -> PolicyChange:
    old = read_attached(found.policy or ALLOW_ALL)
    change = PolicyChange(
        vpc_endpoint_id=found.vpc_endpoint_id,
        endpoint_service=found.endpoint_service,
        old=old,
        new=new,
        rights=(),
        tried=0,
        warnings=problems,
    )
    if isinstance(old, str) or isinstance(new, str):
        return change
    documents = (old, new)
    tried_actions = _named(
        documents, "actions", "not_actions", more=[*actions, *_calls_of_models()]
    )
    tried_resources = _named(documents, "resources", "not_resources", more=resources)
    tried_principals = _principals(documents, principals)
    rights = diff(
        old,
        new,
        actions=tried_actions,
        resources=tried_resources,
        principals=tried_principals,
        context={"aws:SourceVpce": found.vpc_endpoint_id, "aws:SourceVpc": found.vpc_id},
    )
    tried = len(tried_actions) * len(tried_resources) * len(tried_principals)
    return replace(change, rights=rights, tried=tried)


def apply_policy(
    session: Session,
    vpc_endpoint_id: str,
    policy: AnyPolicy,
    *,
    keep_in: str | os.PathLike[str],
    now: Callable[[], dt.datetime] = _now,
) -> PolicyChange:
    """Gives a VPC endpoint a new policy, once the old one is safe in a file.

    AWS takes minutes to enforce a change. Where the documents are the same nothing is done.

    Args:
        session: Whose account and region.
        vpc_endpoint_id: The VPC endpoint.
        policy: The new policy.
        keep_in: A directory for the file with the old document (mode 0600), which
            ``restore_policy`` takes.
        now: The time, UTC; it is in the file's name.

    Returns:
        What changed, and where the old document is.

    Raises:
        PolicyError, ConfigurationError, DiscoveryError: As ``compare_policy``; nothing was changed.
        ProvisioningError: EC2 refused the change; the permission is named.
        OSError: The file could not be written; nothing was changed.
    """
    return _changed(session, compare_policy(session, vpc_endpoint_id, policy), keep_in, now)


def _changed(
    session: Session,
    change: PolicyChange,
    keep_in: str | os.PathLike[str],
    now: Callable[[], dt.datetime] = _now,
) -> PolicyChange:
    if not change.is_change:
        return change
    stamp = now().strftime("%Y%m%dT%H%M%S.%fZ")
    kept_in = Path(keep_in) / f"{change.vpc_endpoint_id}.policy.{stamp}.json"
    kept = KeptPolicy(
        vpc_endpoint_id=change.vpc_endpoint_id, region=str(session.region_name), policy=change.old
    )
    keep(kept, kept_in, stamp=stamp)
    _modify(session, change.vpc_endpoint_id, text_of(change.new), kept_in=kept_in)
    return replace(change, kept_in=kept_in)


def restore_policy(
    session: Session, kept: str | os.PathLike[str], *, keep_in: str | os.PathLike[str] | None = None
) -> PolicyChange:
    """Gives a VPC endpoint the policy back that ``apply_policy`` kept.

    AWS took it before, so what ``check`` finds wrong with it does not stop it: it is in
    ``warnings``.

    Args:
        session: Whose account and region.
        kept: The file that ``apply_policy`` wrote.
        keep_in: A directory for the document that is in force until then; that of ``kept`` by
            default.

    Raises:
        ConfigurationError: The file is not one that ``apply_policy`` wrote, or of another region.
        DiscoveryError, ProvisioningError, OSError: As ``apply_policy``.
    """
    change = compare_kept_policy(session, kept)
    return _changed(session, change, Path(kept).parent if keep_in is None else keep_in)


def compare_kept_policy(session: Session, kept: str | os.PathLike[str]) -> PolicyChange:
    """Says what ``restore_policy`` would change; looks, and changes nothing.

    Args:
        session: Whose account and region.
        kept: The file that ``apply_policy`` wrote.

    Raises:
        ConfigurationError, DiscoveryError, OSError: As ``restore_policy``.
    """
    path = Path(kept)
    found = read_kept(path)
    if found.region != session.region_name:
        raise ConfigurationError(
            f"{path} is of a VPC endpoint in {found.region}, but the session's region is "
            f"{session.region_name}.",
            remedy=f"make the session with region_name={found.region!r}.",
        )
    there = _found(session, found.vpc_endpoint_id)
    problems: tuple[Problem, ...] = ()
    if isinstance(found.policy, PolicyDocument):
        problems = check(found.policy, endpoint_service=there.endpoint_service, region=found.region)
    return _compared(there, found.policy, problems)


def _found(session: Session, vpc_endpoint_id: str) -> VpcEndpoint:
    account = Account(ec2_of(session))
    found = next(iter(account.vpc_endpoints(vpc_endpoint_id=vpc_endpoint_id)), None)
    if found is None:
        raise ConfigurationError(
            f"There is no VPC endpoint {vpc_endpoint_id} in {session.region_name} that this "
            "account sees.",
            possible_causes=("a typing error", "another region or account", "a shared VPC's owner"),
            remedy="name one that aws ec2 describe-vpc-endpoints lists.",
        )
    return found


def _modify(session: Session, vpc_endpoint_id: str, text: str, *, kept_in: Path) -> None:
    try:
        ec2_of(session).modify_vpc_endpoint(VpcEndpointId=vpc_endpoint_id, PolicyDocument=text)
    except (BotoCoreError, ClientError) as error:
        cause, remedy = why(error, "ec2:ModifyVpcEndpoint")
        told = "was not changed" if isinstance(error, ClientError) else "may not have been changed"
        raise ProvisioningError(
            f"The policy of {vpc_endpoint_id} {told}; the old one is in {kept_in}.",
            cause=cause,
            remedy=remedy,
        ) from error


def _calls_of_models() -> Iterable[str]:
    return (action for actions in INVOKING.values() for action in actions)


def _named(documents: Iterable[PolicyDocument], *names: str, more: Iterable[str]) -> list[str]:
    found = [
        text
        for document in documents
        for statement in document.statements
        for name in names
        for text in getattr(statement, name)
    ]
    return list(dict.fromkeys([*found, *more]))


def _principals(documents: Iterable[PolicyDocument], more: Iterable[str]) -> list[str]:
    found = [
        text
        for document in documents
        for statement in document.statements
        for named in (statement.principal, statement.not_principal)
        if named is not None
        for text in (*named.aws, *named.service)
    ]
    return list(dict.fromkeys([*found, *more, "*"]))  # "*": whoever is not named


def _as_json(policy: AttachedPolicy) -> dict[str, Any] | str:
    return policy if isinstance(policy, str) else policy.as_dict()


def _right(change: Change) -> dict[str, str]:
    return {
        "principal": change.principal,
        "action": change.action,
        "resource": change.resource,
    }
