"""Policy documents as records: read strictly, written back the same.

The grammar is IAM's (IAM User Guide, "Grammar of the IAM JSON policy language"), for policies of
identities, of organizations and of resources such as VPC endpoints. What depends on the kind of
policy is looked at in ``validation``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, runtime_checkable

__all__ = [
    "CURRENT_VERSION",
    "DEFAULT_ENDPOINT_POLICY",
    "PRINCIPAL_TYPES",
    "VERSIONS",
    "Built",
    "Condition",
    "Effect",
    "PolicyDocument",
    "Principals",
    "Problem",
    "Severity",
    "Statement",
    "to_json",
]

Effect = Literal["Allow", "Deny"]
CURRENT_VERSION: Final = "2012-10-17"
VERSIONS: Final = (CURRENT_VERSION, "2008-10-17")
PRINCIPAL_TYPES: Final = {
    "AWS": "aws",
    "Service": "service",
    "Federated": "federated",
    "CanonicalUser": "canonical_user",
}
"""The keys of a Principal, and the attributes of ``Principals`` for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principals:
    """Whom a statement names.

    Attributes:
        anyone: Whether it is the bare ``"*"``; the others are empty then.
        aws: ARNs, account ids, ``*``.
        service: Service principals, ``sagemaker.amazonaws.com``.
        federated: Identity providers.
        canonical_user: Canonical user ids.
    """

    anyone: bool = False
    aws: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    federated: tuple[str, ...] = ()
    canonical_user: tuple[str, ...] = ()

    @property
    def is_everyone(self) -> bool:
        """Whether nobody is left out; ``"*"`` and ``{"AWS": "*"}`` mean the same."""
        return self.anyone or "*" in self.aws


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One operator, one key, its values.

    Attributes:
        operator: As it is written, ``ForAnyValue:StringLikeIfExists``.
        key: As it is written; case does not matter.
        values: As text: a number or boolean as JSON writes it.
    """

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement; exactly one of each pair with ``not_`` is given.

    Attributes:
        effect: ``Allow`` or ``Deny``.
        sid: Its name, ``None`` where it has none.
        principal: Whom it is about; ``None`` in policies of identities.
        not_principal: Whom it is not about.
        actions: ``sagemaker:InvokeEndpoint``, with wildcards.
        not_actions: All actions but these.
        resources: ARNs with wildcards and variables.
        not_resources: All resources but these.
        conditions: All of them must be met.
    """

    effect: Effect
    sid: str | None = None
    principal: Principals | None = None
    not_principal: Principals | None = None
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyDocument:
    """A policy.

    Attributes:
        statements: In the order of the document.
        version: Version of the policy language; ``None`` is read by AWS as 2008-10-17.
        id: Its name, ``None`` where it has none.
    """

    statements: tuple[Statement, ...]
    version: str | None = CURRENT_VERSION
    id: str | None = None

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` is a variable; in older versions it is literal text."""
        return self.version == CURRENT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Gives the document as JSON holds it; a list of one is written as its element."""
        made: dict[str, Any] = {}
        if self.version is not None:
            made["Version"] = self.version
        if self.id is not None:
            made["Id"] = self.id
        made["Statement"] = [_statement_as_dict(statement) for statement in self.statements]
        return made


DEFAULT_ENDPOINT_POLICY: Final = PolicyDocument(
    version=None,
    statements=(
        Statement(
            effect="Allow", principal=Principals(anyone=True), actions=("*",), resources=("*",)
        ),
    ),
)
"""What a VPC endpoint has where none was given: everybody may do everything (PrivateLink guide)."""


@runtime_checkable
class Built(Protocol):
    """What was built and has its document, as ``EndpointPolicy`` does."""

    @property
    def document(self) -> PolicyDocument:
        """The document."""


def to_json(document: PolicyDocument, *, indent: int | None = 2) -> str:
    """Writes a document; ``parse`` gives an equal one back.

    Args:
        document: The document.
        indent: Spaces a level; ``None`` for the shortest text, since AWS counts white space.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(document.as_dict(), indent=indent, separators=separators, ensure_ascii=False)


def _statement_as_dict(statement: Statement) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if statement.sid is not None:
        made["Sid"] = statement.sid
    made["Effect"] = statement.effect
    for name, principals in (
        ("Principal", statement.principal),
        ("NotPrincipal", statement.not_principal),
    ):
        if principals is not None:
            made[name] = _principals_as_json(principals)
    for name, texts in (
        ("Action", statement.actions),
        ("NotAction", statement.not_actions),
        ("Resource", statement.resources),
        ("NotResource", statement.not_resources),
    ):
        if texts:
            made[name] = _one_or_list(texts)
    for condition in statement.conditions:
        block = made.setdefault("Condition", {}).setdefault(condition.operator, {})
        block[condition.key] = _one_or_list(condition.values)
    return made


def _principals_as_json(principals: Principals) -> str | dict[str, Any]:
    if principals.anyone:
        return "*"
    named = {key: getattr(principals, name) for key, name in PRINCIPAL_TYPES.items()}
    return {key: _one_or_list(texts) for key, texts in named.items() if texts}


def _one_or_list(texts: tuple[str, ...]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)


Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong, or likely not meant.

    Attributes:
        severity: ``error``: AWS refuses it, or it can never do what it says; ``warning``: it works,
            and is likely not what was meant.
        place: Where, such as ``Statement[1].Action[0]``; empty for the whole document.
        message: What it is, as a sentence.
        remedy: What to write instead, in the imperative.
    """

    severity: Severity
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """``error at Statement[0].Action: … Remedy: …`` on one line."""
        place = f" at {self.place}" if self.place else ""
        return f"{self.severity}{place}: {self.message} Remedy: {self.remedy}"
