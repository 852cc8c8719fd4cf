"""Records of policy documents, written back as they were read; and of the problems in them.

The grammar is IAM's (IAM User Guide, "Grammar of the IAM JSON policy language"), for policies of
identities, of organizations and of resources such as VPC endpoints. What depends on the kind of
policy is checked in ``validation``.
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
    """The principals that a statement names.

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
        """Whether it is everyone; ``"*"`` and ``{"AWS": "*"}`` mean the same."""
        return self.anyone or "*" in self.aws


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One operator such as ``ForAnyValue:StringLikeIfExists``, one key, its values.

    All are as they are written; a number or a boolean as JSON writes it.
    """

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement; exactly one of each pair with ``not_`` is given.

    Attributes:
        effect: ``Allow`` or ``Deny``.
        sid: Its name, if it has one.
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
        id: Its name, if it has one.
    """

    statements: tuple[Statement, ...]
    version: str | None = CURRENT_VERSION
    id: str | None = None

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` is a variable; in older versions it is literal text."""
        return self.version == CURRENT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Return the document as JSON holds it; a list of one is written as its element."""
        head = {"Version": self.version, "Id": self.id}
        return {
            **{key: value for key, value in head.items() if value is not None},
            "Statement": [_statement_as_dict(statement) for statement in self.statements],
        }


DEFAULT_ENDPOINT_POLICY: Final = PolicyDocument(
    version=None,
    statements=(
        Statement(
            effect="Allow", principal=Principals(anyone=True), actions=("*",), resources=("*",)
        ),
    ),
)
"""What a VPC endpoint has if none was given: everybody may do everything (PrivateLink guide)."""


@runtime_checkable
class Built(Protocol):
    """An object that has a document, as ``EndpointPolicy``."""

    @property
    def document(self) -> PolicyDocument:
        """The document."""


def to_json(document: PolicyDocument, *, indent: int | None = 2) -> str:
    """Return a document as JSON text; ``parse`` reads an equal one back.

    ``indent`` is spaces per level; ``None`` for the shortest text, since AWS counts white space.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(document.as_dict(), indent=indent, separators=separators, ensure_ascii=False)


def _statement_as_dict(statement: Statement) -> dict[str, Any]:
    elements: dict[str, Any] = {} if statement.sid is None else {"Sid": statement.sid}
    elements["Effect"] = statement.effect
    principals = {"Principal": statement.principal, "NotPrincipal": statement.not_principal}
    elements |= {key: _principals_as_json(one) for key, one in principals.items() if one}
    texts = {
        "Action": statement.actions,
        "NotAction": statement.not_actions,
        "Resource": statement.resources,
        "NotResource": statement.not_resources,
    }
    elements |= {key: _one_or_list(listed) for key, listed in texts.items() if listed}
    for condition in statement.conditions:
        block = elements.setdefault("Condition", {}).setdefault(condition.operator, {})
        block[condition.key] = _one_or_list(condition.values)
    return elements


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
    """One thing in a policy that is wrong, or likely not meant.

    Attributes:
        severity: ``error``: AWS refuses it, or it can never do what it says; ``warning``: it works,
            but likely not as it was meant.
        place: Where, such as ``Statement[1].Action[0]``; empty for the whole document.
        message: What it is, as a sentence.
        remedy: What to write instead, in the imperative.
    """

    severity: Severity
    place: str
    message: str
    remedy: str

    @classmethod
    def error(cls, place: str, message: str, remedy: str) -> Problem:
        """Return a problem that makes the document useless."""
        return cls(severity="error", place=place, message=message, remedy=remedy)

    @classmethod
    def warning(cls, place: str, message: str, remedy: str) -> Problem:
        """Return a problem with which the document works."""
        return cls(severity="warning", place=place, message=message, remedy=remedy)

    def __str__(self) -> str:
        """Return one line: ``error at Statement[0].Action: … Remedy: …``."""
        place = f" at {self.place}" if self.place else ""
        return f"{self.severity}{place}: {self.message} Remedy: {self.remedy}"
