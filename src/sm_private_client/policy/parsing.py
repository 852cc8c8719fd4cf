"""Read a policy document, and say exactly where it breaks the grammar."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sm_private_client.errors import PolicyError
from sm_private_client.policy.conditions import OPERATORS, read_operator
from sm_private_client.policy.documents import (
    PRINCIPAL_TYPES,
    VERSIONS,
    Built,
    Condition,
    Effect,
    PolicyDocument,
    Principals,
    Statement,
)

__all__ = ["Policy", "parse"]

_DOCUMENT_KEYS: Final = ("Version", "Id", "Statement")
_STATEMENT_KEYS: Final = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_ACTION: Final = re.compile(r"\*\Z|[\w*?-]+:[\w*?-]+\Z", re.ASCII)


Policy = PolicyDocument | Built | str | Mapping[str, Any]
"""A policy in any form: read, built, JSON text, or what ``json.loads`` gives of it."""


def parse(document: Policy) -> PolicyDocument:
    """Reads a policy document.

    Args:
        document: JSON text, or what ``json.loads`` gives of it; a document that was read already
            is given back, and that of an ``EndpointPolicy`` taken out.

    Raises:
        PolicyError: It is not JSON, or breaks the grammar. ``place`` is where, such as
            ``Statement[1].Action``.
    """
    if isinstance(document, PolicyDocument):
        return document
    if isinstance(document, Built):
        return document.document
    content = _loads(document) if isinstance(document, str) else document
    if not isinstance(content, Mapping):
        raise _wrong("", f"is {_kind(content)}", "make the document a JSON object.")
    _only("", content, _DOCUMENT_KEYS)
    version = _text("Version", content.get("Version"))
    if version is not None and version not in VERSIONS:
        raise _wrong(
            "Version", f"is {version!r}", f"write {VERSIONS[0]!r}; it names the policy language."
        )
    if "Statement" not in content:
        raise _wrong("Statement", "is missing", "give the document at least one statement.")
    found = content["Statement"]
    single = isinstance(found, Mapping)
    statements = [found] if single else _list("Statement", found)
    read = tuple(
        _statement("Statement" if single else f"Statement[{number}]", statement)
        for number, statement in enumerate(statements)
    )
    _unique_sids(read)
    return PolicyDocument(version=version, id=_text("Id", content.get("Id")), statements=read)


def _wrong(place: str, what: str, remedy: str) -> PolicyError:
    return PolicyError(
        f"{place or 'The policy document'} {what}.",
        place=place,
        cause="the grammar of AWS's policy language does not allow that.",
        remedy=remedy,
    )


def _loads(text: str) -> Any:  # noqa: ANN401 - JSON can be anything
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise _wrong(twice, "is there twice in one object", "write it once.")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise PolicyError(
            f"The policy document is not JSON: {error}.",
            place=f"line {error.lineno} column {error.colno}",
            possible_causes=("a comma or quote too many or too few", "a comment"),
            remedy="correct the text at that place.",
        ) from None
    except RecursionError:
        raise _wrong("", "is nested too deeply", "write it as the grammar has it.") from None


def _kind(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    if value is None:
        return "null"
    return names.get(type(value), "an object")


def _only(place: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            meant = difflib.get_close_matches(str(key), known, 1)
            raise _wrong(
                f"{place}.{key}" if place else str(key),
                "is no element of the policy language",
                f"did you mean {meant[0]}?" if meant else f"use {', '.join(known)}.",
            )


def _text(place: str, found: object) -> str | None:
    if found is None or isinstance(found, str):
        return found
    raise _wrong(place, f"is {_kind(found)}", "write a string.")


def _list(place: str, found: object) -> Sequence[Any]:
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise _wrong(place, f"is {_kind(found)}", "write an object or a list of objects.")
    if not found:
        raise _wrong(place, "is an empty list", "name at least one, or leave the element out.")
    return found


def _texts(place: str, found: object) -> tuple[str, ...]:
    return tuple(text for _, text in _placed_texts(place, found))


def _placed_texts(place: str, found: object) -> list[tuple[str, str]]:
    """Gives each text with its place, which has a number only where there is a list."""
    placed = [(place, found)]
    if isinstance(found, Sequence) and not isinstance(found, str):
        placed = [(f"{place}[{n}]", one) for n, one in enumerate(_list(place, found))]
    elif not isinstance(found, str):
        raise _wrong(place, f"is {_kind(found)}", "write a string or a list of strings.")
    texts = []
    for here, text in placed:
        if not isinstance(text, str):
            raise _wrong(here, f"is {_kind(text)}", "write a string.")
        if not text:
            raise _wrong(here, "is empty", "write its text.")
        texts.append((here, text))
    return texts


def _statement(place: str, found: object) -> Statement:
    if not isinstance(found, Mapping):
        raise _wrong(place, f"is {_kind(found)}", "make each statement a JSON object.")
    _only(place, found, _STATEMENT_KEYS)
    _one_of(place, found, "Action", "NotAction")
    _one_of(place, found, "Resource", "NotResource")
    _one_of(place, found, "Principal", "NotPrincipal", needed=False)
    effect = found.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _wrong(
            f"{place}.Effect",
            f"is {effect!r}" if "Effect" in found else "is missing",
            "write 'Allow' or 'Deny', in that case.",
        )
    granted: Effect = "Allow" if effect == "Allow" else "Deny"
    lists = {
        key: _texts(f"{place}.{key}", found[key])
        for key in ("Action", "NotAction", "Resource", "NotResource")
        if key in found
    }
    for key in ("Action", "NotAction"):
        if key in found:
            _actions(_placed_texts(f"{place}.{key}", found[key]))
    whom = {
        key: _principals(f"{place}.{key}", found[key])
        for key in ("Principal", "NotPrincipal")
        if key in found
    }
    return Statement(
        effect=granted,
        sid=_text(f"{place}.Sid", found.get("Sid")),
        principal=whom.get("Principal"),
        not_principal=whom.get("NotPrincipal"),
        actions=lists.get("Action", ()),
        not_actions=lists.get("NotAction", ()),
        resources=lists.get("Resource", ()),
        not_resources=lists.get("NotResource", ()),
        conditions=_conditions(f"{place}.Condition", found.get("Condition", {})),
    )


def _one_of(
    place: str, found: Mapping[str, Any], this: str, that: str, *, needed: bool = True
) -> None:
    if this in found and that in found:
        raise _wrong(place, f"has both {this} and {that}", "keep one of them.")
    if needed and this not in found and that not in found:
        raise _wrong(place, f"has neither {this} nor {that}", f"add {this}.")


def _actions(placed: Sequence[tuple[str, str]]) -> None:
    for place, action in placed:
        if not _ACTION.match(action):
            raise _wrong(
                place,
                f"is {action!r}",
                "write '*', or service and action as in 'sagemaker:InvokeEndpoint'.",
            )


def _principals(place: str, found: object) -> Principals:
    if found == "*":
        return Principals(anyone=True)
    if not isinstance(found, Mapping):
        raise _wrong(place, f"is {found!r}", """write "*", or an object as {"AWS": "<ARN>"}.""")
    if not found:
        raise _wrong(place, "is an empty object", """write "*", or {"AWS": "<ARN>"}.""")
    _only(place, found, tuple(PRINCIPAL_TYPES))
    texts = {key: _texts(f"{place}.{key}", named) for key, named in found.items()}
    return Principals(
        aws=texts.get("AWS", ()),
        service=texts.get("Service", ()),
        federated=texts.get("Federated", ()),
        canonical_user=texts.get("CanonicalUser", ()),
    )


def _conditions(place: str, found: object) -> tuple[Condition, ...]:
    if not isinstance(found, Mapping):
        raise _wrong(place, f"is {_kind(found)}", "make it an object of operators.")
    conditions = []
    for operator, keys in found.items():
        here = f"{place}.{operator}"
        if not isinstance(operator, str) or read_operator(operator) is None:
            bare = str(operator).rpartition(":")[2]
            meant = difflib.get_close_matches(bare, (*OPERATORS, "Null"), 1, 0.4)
            raise _wrong(
                here,
                "is no condition operator",
                f"did you mean {meant[0]}?" if meant else "use one such as StringEquals.",
            )
        if not isinstance(keys, Mapping) or not keys:
            what = "is empty" if keys == {} else f"is {_kind(keys)}"
            raise _wrong(here, what, "make it an object of condition keys and values.")
        conditions += [
            Condition(operator=operator, key=str(key), values=_values(f"{here}.{key}", values))
            for key, values in keys.items()
        ]
    _unique_keys(place, conditions)
    return tuple(conditions)


def _values(place: str, found: object) -> tuple[str, ...]:
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    values = []
    for value in _list(place, listed):
        if isinstance(value, str):
            values.append(value)
        elif isinstance(value, (bool, int, float)):
            values.append(json.dumps(value))
        else:
            raise _wrong(place, f"is {_kind(value)}", "write strings, numbers or booleans.")
    return tuple(values)


def _unique_keys(place: str, conditions: Sequence[Condition]) -> None:
    """Keys are case-insensitive, so two spellings of one key are the same key twice."""
    seen = set()
    for condition in conditions:
        named = (condition.operator, condition.key.lower())
        if named in seen:
            raise _wrong(
                f"{place}.{condition.operator}.{condition.key}",
                "is there twice, as keys ignore case",
                "put all values into one.",
            )
        seen.add(named)


def _unique_sids(statements: Sequence[Statement]) -> None:
    seen: dict[str, int] = {}
    for number, statement in enumerate(statements):
        if statement.sid is None:
            continue
        if statement.sid in seen:
            raise _wrong(
                f"Statement[{number}].Sid",
                f"is {statement.sid!r}, as that of Statement[{seen[statement.sid]}]",
                "name each statement differently.",
            )
        seen[statement.sid] = number
