"""Changes of the policy of a VPC endpoint: compared, applied, and restored from a file."""

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
from sm_private_client.provisioning.account import Account, ec2_of, explain_error
from sm_private_client.provisioning.policy_files import (
    AttachedPolicy,
    KeptPolicy,
    as_json,
    as_text,
    read_attached,
    read_kept,
    validated,
    write_kept,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from sm_private_client.policy.documents import Problem
    from sm_private_client.policy.parsing import Policy
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
"""What EC2 attaches if no policy is given (PrivateLink guide, "Default endpoint policy")."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChange:
    """What a new policy changes on a VPC endpoint.

    Attributes:
        endpoint_service: Name of the VPC endpoint's service.
        old: The document that is, or was, in force; its text if it breaks the grammar that is known
            here.
        new: The document that would be in force, or is; a text only if it is restored.
        rights: The rights that are given and taken, among the calls that were tried; none if a
            document cannot be read.
        tried: How many calls were tried.
        warnings: What is likely not meant in the new one.
        kept_in: The file with the old document; ``None`` if nothing was changed.
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
        return as_text(self.old) != as_text(self.new)

    @property
    def is_readable(self) -> bool:
        """Whether both documents can be read, so that their rights can be compared."""
        return isinstance(self.old, PolicyDocument) and isinstance(self.new, PolicyDocument)

    def __str__(self) -> str:
        """Return one line per right that is given (``+``) or taken (``-``), then the warnings."""
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
        """Return the change as JSON can hold it."""
        return {
            "vpc_endpoint_id": self.vpc_endpoint_id,
            "endpoint_service": self.endpoint_service,
            "old": as_json(self.old),
            "new": as_json(self.new),
            "given": [_right(change) for change in self.rights if change.is_given],
            "taken": [_right(change) for change in self.rights if not change.is_given],
            "tried": self.tried,
            "warnings": [str(problem) for problem in self.warnings],
            "kept_in": str(self.kept_in) if self.kept_in else None,
        }


def compare_policy(
    session: Session,
    vpc_endpoint_id: str,
    policy: Policy,
    *,
    actions: Sequence[str] = (),
    resources: Sequence[str] = (),
    principals: Sequence[str] = (),
) -> PolicyChange:
    """Return what a policy would change on a VPC endpoint; look, and change nothing.

    Calls are tried one by one on both documents: every action, resource and principal that one of
    them names, the calls of a model, and those given here. A text with a wildcard stands for what
    it covers and nobody names; so does the principal ``*``.

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
    found = _find(session, vpc_endpoint_id)
    new, warnings = validated(
        policy, endpoint_service=found.endpoint_service, region=str(session.region_name)
    )
    return _compare(found, new, warnings, actions, resources, principals)


def apply_policy(
    session: Session,
    vpc_endpoint_id: str,
    policy: Policy,
    *,
    keep_in: str | os.PathLike[str],
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.timezone.utc),
) -> PolicyChange:
    """Give a VPC endpoint a new policy, once the old one is safe in a file.

    AWS takes minutes to enforce a change. If the documents are the same, nothing is done.

    Args:
        session: Whose account and region.
        vpc_endpoint_id: The VPC endpoint.
        policy: The new policy.
        keep_in: A directory for the file with the old document (mode 0600), which
            ``restore_policy`` takes.
        now: The time, UTC; it is in the name of the file.

    Returns:
        What changed, and where the old document is.

    Raises:
        PolicyError, ConfigurationError, DiscoveryError: As ``compare_policy``; nothing was changed.
        ProvisioningError: EC2 refused the change; the permission is named.
        OSError: The file could not be written; nothing was changed.
    """
    return _apply(session, compare_policy(session, vpc_endpoint_id, policy), keep_in, now())


def compare_kept_policy(session: Session, kept: str | os.PathLike[str]) -> PolicyChange:
    """Return what ``restore_policy`` would change; look, and change nothing.

    Args:
        session: Whose account and region.
        kept: The file that ``apply_policy`` wrote.

    Raises:
        ConfigurationError, DiscoveryError, OSError: As ``restore_policy``.
    """
    path = Path(kept)
    old = read_kept(path)
    if old.region != session.region_name:
        raise ConfigurationError(
            f"{path} is of a VPC endpoint in {old.region}, but the session's region is "
            f"{session.region_name}.",
            remedy=f"make the session with region_name={old.region!r}.",
        )
    found = _find(session, old.vpc_endpoint_id)
    warnings: tuple[Problem, ...] = ()
    if isinstance(old.policy, PolicyDocument):
        warnings = check(old.policy, endpoint_service=found.endpoint_service, region=old.region)
    return _compare(found, old.policy, warnings)


def restore_policy(
    session: Session, kept: str | os.PathLike[str], *, keep_in: str | os.PathLike[str] | None = None
) -> PolicyChange:
    """Give a VPC endpoint the policy back that ``apply_policy`` kept.

    AWS took it before, so what ``check`` finds wrong with it does not stop it: it is in
    ``warnings``.

    Args:
        session: Whose account and region.
        kept: The file that ``apply_policy`` wrote.
        keep_in: A directory for the document that is in force until then; that of ``kept`` by
            default.

    Raises:
        ConfigurationError: ``apply_policy`` did not write the file, or it is of another region.
        DiscoveryError, ProvisioningError, OSError: As ``apply_policy``.
    """
    change = compare_kept_policy(session, kept)
    directory = Path(kept).parent if keep_in is None else keep_in
    return _apply(session, change, directory, dt.datetime.now(dt.timezone.utc))


def _find(session: Session, vpc_endpoint_id: str) -> VpcEndpoint:
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


def _compare(
    found: VpcEndpoint,
    new: AttachedPolicy,
    warnings: tuple[Problem, ...],
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
        warnings=warnings,
    )
    if isinstance(old, str) or isinstance(new, str):
        return change
    statements = (*old.statements, *new.statements)
    calls_of_models = (action for of_operation in INVOKING.values() for action in of_operation)
    named_actions = (a for s in statements for a in (*s.actions, *s.not_actions))
    named_resources = (r for s in statements for r in (*s.resources, *s.not_resources))
    listed = (one for s in statements for one in (s.principal, s.not_principal) if one is not None)
    named_principals = (p for one in listed for p in (*one.aws, *one.service))
    # Dictionaries, to try each once and in this order. "*" stands for those that are not named.
    tried_actions = dict.fromkeys([*named_actions, *actions, *calls_of_models])
    tried_resources = dict.fromkeys([*named_resources, *resources])
    tried_principals = dict.fromkeys([*named_principals, *principals, "*"])
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


def _apply(
    session: Session, change: PolicyChange, keep_in: str | os.PathLike[str], now: dt.datetime
) -> PolicyChange:
    if not change.is_change:
        return change
    vpc_endpoint_id = change.vpc_endpoint_id
    stamp = now.strftime("%Y%m%dT%H%M%S.%fZ")
    kept_in = Path(keep_in) / f"{vpc_endpoint_id}.policy.{stamp}.json"
    kept = KeptPolicy(
        vpc_endpoint_id=vpc_endpoint_id, region=str(session.region_name), policy=change.old
    )
    write_kept(kept, kept_in, stamp=stamp)
    ec2 = ec2_of(session)
    try:
        ec2.modify_vpc_endpoint(VpcEndpointId=vpc_endpoint_id, PolicyDocument=as_text(change.new))
    except (BotoCoreError, ClientError) as error:
        cause, remedies = explain_error(error, "ec2:ModifyVpcEndpoint")
        is_refused = isinstance(error, ClientError)
        outcome = "was not changed" if is_refused else "may not have been changed"
        raise ProvisioningError(
            f"The policy of {vpc_endpoint_id} {outcome}; the old one is in {kept_in}.",
            cause=cause,
            remedy=remedies,
        ) from error
    return replace(change, kept_in=kept_in)


def _right(change: Change) -> dict[str, str]:
    return {"principal": change.principal, "action": change.action, "resource": change.resource}
