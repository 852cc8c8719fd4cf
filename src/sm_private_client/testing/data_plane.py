"""The front of SageMaker's services, as it stands behind an ENI and on the internet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from sm_private_client.policy.actions import INVOKING
from sm_private_client.privatelink.services import BROWSER_DNS_DOMAIN
from sm_private_client.testing.aws_errors import (
    UNKNOWN_OPERATION,
    AwsError,
    json_error,
    rest_error,
)
from sm_private_client.testing.control_plane import unplayed
from sm_private_client.testing.http_connection import ConnectionCut, Request, Response
from sm_private_client.testing.operations import operations_of
from sm_private_client.testing.records import Log, record_of
from sm_private_client.testing.signatures import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.endpoint_policies import EndpointPolicies
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import Connection
    from sm_private_client.testing.operations import ServiceOperations
    from sm_private_client.testing.records import Ingress, RequestRecord
    from sm_private_client.testing.runtime import RuntimeFront

__all__ = ["DataPlane", "presigned_url"]


def presigned_url(operation: str, parameters: Mapping[str, Any], region: str) -> str | None:
    """Gives the URL that a ``CreatePresigned…Url`` operation answers.

    Returns:
        The URL, or ``None`` where the operation is another one.

    Raises:
        Refusal: A parameter is missing.
    """
    token = secrets.token_urlsafe(48)
    if operation == "CreatePresignedNotebookInstanceUrl":
        name = _required(parameters, "NotebookInstanceName")
        return f"https://{name}.notebook.{region}.{BROWSER_DNS_DOMAIN}?authToken={token}"
    if operation == "CreatePresignedDomainUrl":
        domain = _required(parameters, "DomainId")
        _required(parameters, "UserProfileName")
        return f"https://{domain}.studio.{region}.{BROWSER_DNS_DOMAIN}/auth?token={token}"
    return None


def _required(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        lower = name[0].lower() + name[1:]
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value null at '{lower}' failed to satisfy "
            "constraint: Member must not be null",
        )
    return value


class DataPlane:
    """Checks host, operation and signature, then lets moto or a hosted model answer.

    Attributes:
        requests: What came in.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        runtime: RuntimeFront,
        policies: EndpointPolicies,
        faults: Faults,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.requests: Log[RequestRecord] = Log()
        self._control = control
        self._runtime = runtime
        self._policies = policies
        self._faults = faults
        self._clock = clock

    def answer(self, ingress: Ingress, request: Request, connection: Connection) -> Response:
        """Answers one request at a door, and keeps a record of it."""
        service_name, operations, operation = self._wanted(ingress, request, connection)
        now, skewed = self._time()
        if self._faults.take("reset-before-model", service_name or ""):
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, None)
            )
            raise ConnectionCut
        if operations is None or operation is None:
            response = UNKNOWN_OPERATION
        else:
            response = self._judged(
                ingress, request, connection, operations, operation, now, skewed
            )
        if self._faults.take("reset-after-model", service_name or ""):
            _exhaust(response)
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, None)
            )
            raise ConnectionCut
        self.requests.append(
            record_of(ingress, request, connection, service_name, operation, response.status)
        )
        return _dated(response, now)

    def begin(self, ingress: Ingress, request: Request, connection: Connection) -> None:
        """Looks at a request whose body has not been read yet.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        if not self._faults.active:
            return
        service_name, _, operation = self._wanted(ingress, request, connection)
        if self._faults.take("reset-before-body", service_name or ""):
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, None)
            )
            raise ConnectionCut

    def _wanted(
        self, ingress: Ingress, request: Request, connection: Connection
    ) -> tuple[str | None, ServiceOperations | None, str | None]:
        service_name = ingress.service_asked_for(request, connection)
        operations = operations_of(service_name) if service_name else None
        return service_name, operations, operations.find(request) if operations else None

    def _time(self) -> tuple[dt.datetime, str]:
        """Gives the time that counts, and the error of requests that are too old for it."""
        fault = self._faults.take("clock-skew")
        if fault is None:
            return self._clock(), "InvalidSignatureException"
        seconds, code = cast("tuple[float, str]", fault.value)
        return self._clock() + dt.timedelta(seconds=seconds), code

    def _judged(
        self,
        ingress: Ingress,
        request: Request,
        connection: Connection,
        operations: ServiceOperations,
        operation: str,
        now: dt.datetime,
        skewed: str,
    ) -> Response:
        try:
            verify(
                request,
                region=ingress.region,
                service=operations.signing_name,
                find_credentials=self._control.find_credentials,
                now=now,
                skewed=skewed,
            )
            self._policies.check_family(
                ingress, operation, request, _named_in(request, operations, operation)
            )
            self._control.check(f"{operations.signing_name}:{operation}")
            return self._play(request, connection, operations, operation, ingress.region)
        except AwsError as refusal:
            return json_error(refusal) if operations.is_json else rest_error(refusal)

    def _play(
        self,
        request: Request,
        connection: Connection,
        operations: ServiceOperations,
        operation: str,
        region: str,
    ) -> Response:
        service_name = operations.service_name
        if service_name == "sagemaker-runtime" and operation in INVOKING:
            return self._runtime.answer(operation, request, connection)
        if service_name == "sagemaker":
            parameters = _document(request)
            url = presigned_url(operation, parameters, region)
            if url is not None:
                return _json({"AuthorizedUrl": url})
            return self._control.sagemaker(request, host=_default_host("api", region))
        if service_name == "sagemaker-metrics":
            return self._control.sagemaker_metrics(request, host=_default_host("metrics", region))
        raise unplayed(operation)


def _named_in(request: Request, operations: ServiceOperations, operation: str) -> dict[str, Any]:
    """Gives the parameters that name what a call is about."""
    if operations.is_json:
        return _document(request)
    path = operations.path_parameters(operation, request.path)
    return {name: unquote(value) for name, value in path.items()}


def _dated(response: Response, now: dt.datetime) -> Response:
    """Gives an answer the ``Date`` of the clock that counts; moto may have put another one."""
    date = email.utils.format_datetime(now.replace(tzinfo=dt.timezone.utc), usegmt=True)
    kept = (header for header in response.headers if header[0].lower() != "date")
    return dataclasses.replace(response, headers=(("Date", date), *kept))


def _exhaust(response: Response) -> None:
    """Has a model that is a generator run to its end."""
    if not isinstance(response.body, bytes):
        for _ in response.body:
            pass


def _default_host(label: str, region: str) -> str:
    # moto reads the region from this; in other partitions what follows does not matter to it.
    return f"{label}.sagemaker.{region}.amazonaws.com"


def _document(request: Request) -> dict[str, Any]:
    try:
        parsed = json.loads(request.body or b"{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    return parsed


def _json(document: dict[str, Any]) -> Response:
    return Response(
        status=200,
        headers=(
            ("Content-Type", "application/x-amz-json-1.1"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
        ),
        body=json.dumps(document).encode(),
    )
