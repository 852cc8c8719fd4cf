"""Change the policy of a VPC endpoint: checked first, compared, the old one kept in a file."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import ConfigurationError, ProvisioningError
from sm_private_client.policy.actions import INVOKING
from sm_private_client.policy.documents import PolicyDocument, to_json
from sm_private_client.policy.parsing import parse
from sm_private_client.policy.rights import Change, diff
from sm_private_client.provisioning.attached_policies import AnyPolicy, accepted
from sm_private_client.provisioning.causes import why
from sm_private_client.provisioning.looking import Account, ec2_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sm_private_client.policy.problems import Problem
    from sm_private_client.provisioning.records import FoundVpcEndpoint
    from sm_private_client.session import Session

__all__ = ["ALLOW_ALL", "PolicyChange", "apply_policy", "compare_policy", "restore_policy"]

ALLOW_ALL: Final = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'
"""What EC2 attaches where no policy is given (PrivateLink guide, "Default endpoint policy")."""

_READABLE_BY_OWNER: Final = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyChange:
    """What a new policy changes on a VPC endpoint.

    Attributes:
        vpc_endpoint_id: The VPC endpoint.
        endpoint_service: Name of its service.
        old: The document that is, or was, in force.
        new: The document that would be, or is.
        rights: The rights that are given and taken, among the calls that were tried.
        tried: How many calls were tried.
        warnings: What is likely not meant in the new one.
        kept_in: The file with the old document; ``None`` where nothing was changed.
    """

    vpc_endpoint_id: str
    endpoint_service: str
    old: PolicyDocument
    new: PolicyDocument
    rights: tuple[Change, ...]
    tried: int
    warnings: tuple[Problem, ...] = ()
    kept_in: Path | None = None

    @property
    def is_change(self) -> bool:
        """Whether the documents differ at all."""
        return to_json(self.old) != to_json(self.new)

    def __str__(self) -> str:
        """One line a right that is given (``+``) or taken (``-``), then the warnings."""
        lines = [f"Policy of {self.vpc_endpoint_id} ({self.endpoint_service})"]
        lines += [str(change) for change in self.rights]
        if not self.is_change:
            lines.append("The documents are the same.")
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
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
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
    old = parse(found.policy or ALLOW_ALL)
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
        context={"aws:SourceVpce": vpc_endpoint_id, "aws:SourceVpc": found.vpc_id},
    )
    return PolicyChange(
        vpc_endpoint_id=vpc_endpoint_id,
        endpoint_service=found.endpoint_service,
        old=old,
        new=new,
        rights=rights,
        tried=len(tried_actions) * len(tried_resources) * len(tried_principals),
        warnings=problems,
    )


def apply_policy(
    session: Session,
    vpc_endpoint_id: str,
    policy: AnyPolicy,
    *,
    keep_in: str | os.PathLike[str],
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.timezone.utc),
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
    change = compare_policy(session, vpc_endpoint_id, policy)
    if not change.is_change:
        return change
    stamp = now().strftime("%Y%m%dT%H%M%S.%fZ")
    kept_in = Path(keep_in) / f"{vpc_endpoint_id}.policy.{stamp}.json"
    _keep(change, kept_in, region=str(session.region_name), stamp=stamp)
    _modify(session, vpc_endpoint_id, to_json(change.new, indent=None), kept_in=kept_in)
    return replace(change, kept_in=kept_in)


def restore_policy(
    session: Session, kept: str | os.PathLike[str], *, keep_in: str | os.PathLike[str] | None = None
) -> PolicyChange:
    """Gives a VPC endpoint the policy back that ``apply_policy`` kept.

    Args:
        session: Whose account and region.
        kept: The file that ``apply_policy`` wrote.
        keep_in: A directory for the document that is in force until then; that of ``kept`` by
            default.

    Raises:
        ConfigurationError: The file is not one that ``apply_policy`` wrote, or of another region.
        PolicyError, DiscoveryError, ProvisioningError, OSError: As ``apply_policy``.
    """
    path = Path(kept)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vpc_endpoint_id, region, document = (
            content[name] for name in ("vpc_endpoint_id", "region", "policy")
        )
        parse(document)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not a file that apply_policy wrote.",
            cause=f"{type(error).__name__}: {error}".partition("\n")[0] + ".",
            remedy="name the file that apply_policy gave as kept_in.",
        ) from None
    if region != session.region_name:
        raise ConfigurationError(
            f"{path} is of a VPC endpoint in {region}, but the session's region is "
            f"{session.region_name}.",
            remedy=f"make the session with region_name={region!r}.",
        )
    directory = path.parent if keep_in is None else keep_in
    return apply_policy(session, str(vpc_endpoint_id), document, keep_in=directory)


def _found(session: Session, vpc_endpoint_id: str) -> FoundVpcEndpoint:
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


def _keep(change: PolicyChange, path: Path, *, region: str, stamp: str) -> None:
    """Writes the old document: whole or not at all, for the owner only, over no other file."""
    content = {
        "vpc_endpoint_id": change.vpc_endpoint_id,
        "region": region,
        "kept": stamp,
        "policy": change.old.as_dict(),
    }
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_READABLE_BY_OWNER)
        os.link(temporary, path)  # fails where the file is there
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


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


def _right(change: Change) -> dict[str, str]:
    return {
        "principal": change.principal,
        "action": change.action,
        "resource": change.resource,
    }
