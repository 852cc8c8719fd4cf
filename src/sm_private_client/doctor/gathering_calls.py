"""One signed call for each service that proves the way through and changes nothing."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.doctor.facts import Call
from sm_private_client.errors import PrivateClientError
from sm_private_client.routing.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.session import Session

__all__ = ["PROBES", "Probe", "call", "denied_by"]

NOBODY: Final = "sm-private-client-doctor-probe"
"""The name of an inference endpoint, feature group or job that does not exist."""

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1}
)
"""A private route answers in milliseconds; one try, because a failure is what is looked for."""

_DENIED_BY: Final = re.compile(r"(?:no|in an?|in a) ([A-Za-z -]+ polic(?:y|ies))\b")


class Probe(NamedTuple):
    """A harmless call.

    Attributes:
        operation: Its operation.
        method: botocore's name of it.
        parameters: What it is called with.
        proof: The error codes that prove the way through; success does too.
    """

    operation: str
    method: str
    parameters: Mapping[str, Any]
    proof: frozenset[str] = frozenset()


PROBES: Final[Mapping[str, Probe]] = {
    "sagemaker": Probe("ListEndpoints", "list_endpoints", {"MaxResults": 1}),
    # An inference endpoint that does not exist: no model runs, and only SageMaker knows it.
    "sagemaker-runtime": Probe(
        "InvokeEndpoint",
        "invoke_endpoint",
        {"EndpointName": NOBODY, "Body": b"", "ContentType": "text/csv"},
        frozenset({"ValidationError", "ValidationException"}),
    ),
    "sagemaker-featurestore-runtime": Probe(
        "GetRecord",
        "get_record",
        {"FeatureGroupName": NOBODY, "RecordIdentifierValueAsString": "0"},
        frozenset({"ResourceNotFound", "ValidationError", "ValidationException"}),
    ),
}
"""The services for which a harmless call is known; the others are tried up to TLS."""


def call(session: Session, service_name: str, region: str) -> Call | None:
    """Makes the service's call; gives ``None`` where none is known to be harmless."""
    probe = PROBES.get(service_name)
    if probe is None:
        return None
    action = f"sagemaker:{probe.operation}"
    started = time.monotonic()

    def outcome(**seen: Any) -> Call:  # noqa: ANN401 - fields of Call
        seconds = time.monotonic() - started
        return Call(operation=probe.operation, action=action, seconds=seconds, **seen)

    make: Any = session.client
    try:
        client = make(service_name, region, config=_QUICK)
        answer = getattr(client, probe.method)(**probe.parameters)
    except ClientError as error:
        told: Mapping[str, Any] = error.response
        code = str(told.get("Error", {}).get("Code", ""))
        return outcome(
            code=code,
            status=_status(told),
            denied_by=denied_by(str(told.get("Error", {}).get("Message", "")), code),
            expected=code in probe.proof,
            clock_skew=_skew(told),
        )
    except PrivateClientError as error:
        return outcome(failure=redacted(error.what))
    except BotoCoreError as error:
        said = re.split(r" \([\"']", str(error).splitlines()[0])[0]  # TLS is told by the probes
        return outcome(failure=f"{redacted(said).rstrip('.')}.")
    return outcome(status=_status(answer), expected=True, clock_skew=_skew(answer))


def denied_by(message: str, code: str) -> str:
    """Gives the kind of policy that refused, as AWS's message says; empty where it does not."""
    found = _DENIED_BY.search(message) if "Denied" in code else None
    return found[1] if found else ""


def _status(answer: Mapping[str, Any]) -> int | None:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(status) if status is not None else None


def _skew(answer: Mapping[str, Any]) -> float | None:
    """Gives how far our clock is ahead of the one that wrote the ``Date`` header, in seconds."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None
