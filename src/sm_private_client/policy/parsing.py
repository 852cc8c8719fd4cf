"""Parser of policy documents, whose errors name the place that breaks the grammar."""

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
_KINDS: Final = {
    type(None): "null",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
}

Policy = PolicyDocument | Built | str | Mapping[str, Any]
"""A policy in any form: read, built, JSON text, or what ``json.loads`` gives of it."""


def parse(document: Policy) -> PolicyDocument:
    """Read a policy document.

    Args:
        document: JSON text, or what ``json.loads`` gives of it; a document that was read already
            is returned as it is, and so is that of an ``EndpointPolicy``.

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
    _refuse_other_keys("", content, _DOCUMENT_KEYS)
    version = _text("Version", content.get("Version"))
    if version is not None and version not in VERSIONS:
        raise _wrong(
            "Version", f"is {version!r}", f"write {VERSIONS[0]!r}; it names the policy language."
        )
    if "Statement" not in content:
        raise _wrong("Statement", "is missing", "give the document at least one statement.")
    listed = content["Statement"]
    if isinstance(listed, Mapping):
        statements: tuple[Statement, ...] = (_statement("Statement", listed),)
    else:
        placed = enumerate(_list("Statement", listed))
        statements = tuple(_statement(f"Statement[{number}]", one) for number, one in placed)
    _refuse_equal_sids(statements)
    return PolicyDocument(version=version, id=_text("Id", content.get("Id")), statements=statements)


def _wrong(place: str, what: str, remedy: str) -> PolicyError:
    return PolicyError(
        f"{place or 'The policy document'} {what}.",
        place=place,
        cause="the grammar of AWS's policy language does not allow that.",
        remedy=remedy,
    )


def _loads(text: str) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise _wrong(twice, "is there twice in one object", "write it once.")
        return dict(pairs)

    try:
        content: object = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise PolicyError(
            f"The policy document is not JSON: {error}.",
            place=f"line {error.lineno} column {error.colno}",
            possible_causes=("a comma or quote too many or too few", "a comment"),
            remedy="correct the text at that place.",
        ) from None
    except RecursionError:
        raise _wrong("", "is nested too deeply", "write it as the grammar has it.") from None
    return content


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "an object")


def _refuse_other_keys(place: str, element: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in element:
        if key not in known:
            likely = difflib.get_close_matches(str(key), known, 1)
            raise _wrong(
                f"{place}.{key}" if place else str(key),
                "is no element of the policy language",
                f"did you mean {likely[0]}?" if likely else f"use {', '.join(known)}.",
            )


def _text(place: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _wrong(place, f"is {_kind(value)}", "write a string.")


def _list(place: str, value: object) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _wrong(place, f"is {_kind(value)}", "write an object or a list of objects.")
    if not value:
        raise _wrong(place, "is an empty list", "name at least one, or leave the element out.")
    return value


def _texts(place: str, value: object, *, are_actions: bool = False) -> tuple[str, ...]:
    placed = [(place, value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        placed = [(f"{place}[{n}]", one) for n, one in enumerate(_list(place, value))]
    elif not isinstance(value, str):
        raise _wrong(place, f"is {_kind(value)}", "write a string or a list of strings.")
    texts = []
    for here, text in placed:
        if not isinstance(text, str):
            raise _wrong(here, f"is {_kind(text)}", "write a string.")
        if not text:
            raise _wrong(here, "is empty", "write its text.")
        if are_actions and not _ACTION.match(text):
            raise _wrong(
                here,
                f"is {text!r}",
                "write '*', or service and action as in 'sagemaker:InvokeEndpoint'.",
            )
        texts.append(text)
    return tuple(texts)


def _statement(place: str, element: object) -> Statement:
    if not isinstance(element, Mapping):
        raise _wrong(place, f"is {_kind(element)}", "make each statement a JSON object.")
    _refuse_other_keys(place, element, _STATEMENT_KEYS)
    _refuse_both(place, element, "Action", "NotAction")
    _refuse_both(place, element, "Resource", "NotResource")
    _refuse_both(place, element, "Principal", "NotPrincipal", is_needed=False)
    effect = element.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _wrong(
            f"{place}.Effect",
            f"is {effect!r}" if "Effect" in element else "is missing",
            "write 'Allow' or 'Deny', in that case.",
        )
    texts = {
        key: _texts(f"{place}.{key}", element[key], are_actions=key.endswith("Action"))
        for key in ("Action", "NotAction", "Resource", "NotResource")
        if key in element
    }
    principals = {
        key: _principals(f"{place}.{key}", element[key])
        for key in ("Principal", "NotPrincipal")
        if key in element
    }
    return Statement(
        effect="Allow" if effect == "Allow" else "Deny",
        sid=_text(f"{place}.Sid", element.get("Sid")),
        principal=principals.get("Principal"),
        not_principal=principals.get("NotPrincipal"),
        actions=texts.get("Action", ()),
        not_actions=texts.get("NotAction", ()),
        resources=texts.get("Resource", ()),
        not_resources=texts.get("NotResource", ()),
        conditions=_conditions(f"{place}.Condition", element.get("Condition", {})),
    )


def _refuse_both(
    place: str, element: Mapping[str, Any], this: str, that: str, *, is_needed: bool = True
) -> None:
    if this in element and that in element:
        raise _wrong(place, f"has both {this} and {that}", "keep one of them.")
    if is_needed and this not in element and that not in element:
        raise _wrong(place, f"has neither {this} nor {that}", f"add {this}.")


def _principals(place: str, element: object) -> Principals:
    if element == "*":
        return Principals(anyone=True)
    if not isinstance(element, Mapping):
        raise _wrong(place, f"is {element!r}", """write "*", or an object as {"AWS": "<ARN>"}.""")
    if not element:
        raise _wrong(place, "is an empty object", """write "*", or {"AWS": "<ARN>"}.""")
    _refuse_other_keys(place, element, tuple(PRINCIPAL_TYPES))
    names = {key: _texts(f"{place}.{key}", one) for key, one in element.items()}
    return Principals(
        aws=names.get("AWS", ()),
        service=names.get("Service", ()),
        federated=names.get("Federated", ()),
        canonical_user=names.get("CanonicalUser", ()),
    )


def _conditions(place: str, element: object) -> tuple[Condition, ...]:
    if not isinstance(element, Mapping):
        raise _wrong(place, f"is {_kind(element)}", "make it an object of operators.")
    conditions = []
    for operator, keys in element.items():
        here = f"{place}.{operator}"
        if not isinstance(operator, str) or read_operator(operator) is None:
            bare = str(operator).rpartition(":")[2]
            likely = difflib.get_close_matches(bare, (*OPERATORS, "Null"), 1, 0.4)
            raise _wrong(
                here,
                "is no condition operator",
                f"did you mean {likely[0]}?" if likely else "use one such as StringEquals.",
            )
        if not isinstance(keys, Mapping) or not keys:
            what = "is empty" if keys == {} else f"is {_kind(keys)}"
            raise _wrong(here, what, "make it an object of condition keys and values.")
        conditions += [
            Condition(operator=operator, key=str(key), values=_values(f"{here}.{key}", values))
            for key, values in keys.items()
        ]
    _refuse_equal_keys(place, conditions)
    return tuple(conditions)


def _values(place: str, element: object) -> tuple[str, ...]:
    is_list = isinstance(element, Sequence) and not isinstance(element, str)
    listed = element if is_list else [element]
    values = []
    for value in _list(place, listed):
        if isinstance(value, str):
            values.append(value)
        elif isinstance(value, (bool, int, float)):
            values.append(json.dumps(value))
        else:
            raise _wrong(place, f"is {_kind(value)}", "write strings, numbers or booleans.")
    return tuple(values)


def _refuse_equal_keys(place: str, conditions: Sequence[Condition]) -> None:
    """Refuse two spellings of one key, because keys ignore case."""
    seen = set()
    for condition in conditions:
        name = (condition.operator, condition.key.lower())
        if name in seen:
            raise _wrong(
                f"{place}.{condition.operator}.{condition.key}",
                "is there twice, as keys ignore case",
                "put all values into one.",
            )
        seen.add(name)


def _refuse_equal_sids(statements: Sequence[Statement]) -> None:
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
