"""The front of SageMaker's services, behind an ENI and on the internet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sm_private_client.policy.actions import INVOKING
from sm_private_client.privatelink.services import BROWSER_DNS_DOMAIN
from sm_private_client.testing.aws_errors import (
    UNKNOWN_OPERATION,
    AwsError,
    json_error,
    rest_error,
    unsupported,
)
from sm_private_client.testing.http_connection import ConnectionCut, Request, Response
from sm_private_client.testing.operations import operations_of
from sm_private_client.testing.records import Log, RequestRecord, record_of
from sm_private_client.testing.signatures import verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.endpoint_policies import EndpointPolicies
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import Connection
    from sm_private_client.testing.ingress import Ingress
    from sm_private_client.testing.operations import ServiceOperations
    from sm_private_client.testing.runtime import Runtime
    from sm_private_client.testing.signatures import Clock

__all__ = ["SageMakerFront"]


class SageMakerFront:
    """Checks host, operation and signature, then lets moto or a hosted model answer.

    Attributes:
        requests: What came in.
    """

    def __init__(
        self,
        *,
        control: ControlPlane,
        runtime: Runtime,
        policies: EndpointPolicies,
        faults: Faults,
        clock: Clock,
    ) -> None:
        self.requests: Log[RequestRecord] = Log()
        self._control = control
        self._runtime = runtime
        self._policies = policies
        self._faults = faults
        self._clock = clock

    def on_head(self, ingress: Ingress, request: Request, connection: Connection) -> None:
        """Look at a request whose body has not been read yet.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        if not self._faults.active:
            return
        service_name = ingress.service_called(request, connection) or ""
        if self._faults.take("reset-before-body", service_name):
            operation = operations_of(service_name).find(request) if service_name else None
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, None)
            )
            raise ConnectionCut

    def answer(self, ingress: Ingress, request: Request, connection: Connection) -> Response:
        """Answer one request, and keep a record of it."""
        service_name = ingress.service_called(request, connection) or ""
        operations = operations_of(service_name) if service_name else None
        operation = operations.find(request) if operations else None
        now, skew_code = self._time()
        status = None
        try:
            self._faults.cut_if("reset-before-model", service_name)
            if operations is None or operation is None:
                response = UNKNOWN_OPERATION
            else:
                try:
                    response = self._respond(
                        ingress, request, connection, operations, operation, now, skew_code
                    )
                except AwsError as error:
                    response = json_error(error) if operations.is_json else rest_error(error)
            if self._faults.take("reset-after-model", service_name):
                _exhaust(response)
                raise ConnectionCut
            status = response.status
        finally:
            self.requests.append(
                record_of(ingress, request, connection, service_name, operation, status)
            )
        return _dated(response, now)

    def _time(self) -> tuple[dt.datetime, str]:
        """Return the time that counts, and the error of requests that are too old for it."""
        fault = self._faults.take("clock-skew")
        if fault is None:
            return self._clock(), "InvalidSignatureException"
        seconds, code = fault.value
        return self._clock() + dt.timedelta(seconds=seconds), code

    def _respond(
        self,
        ingress: Ingress,
        request: Request,
        connection: Connection,
        operations: ServiceOperations,
        operation: str,
        now: dt.datetime,
        skew_code: str,
    ) -> Response:
        verify(
            request,
            region=ingress.region,
            service=operations.signing_name,
            find_credentials=self._control.find_credentials,
            now=now,
            skew_code=skew_code,
        )
        if operations.is_json:
            parameters = _document(request)
        else:
            path = operations.path_parameters(operation, request.path)
            parameters = {name: unquote(value) for name, value in path.items()}
        self._policies.check_sagemaker(ingress, operation, request, parameters)
        self._control.check(f"{operations.signing_name}:{operation}")
        if operations.service_name == "sagemaker-runtime" and operation in INVOKING:
            return self._runtime.answer(operation, request, connection)
        # moto reads the region from the host; in other partitions the rest does not matter to it.
        domain = f"sagemaker.{ingress.region}.amazonaws.com"
        if operations.service_name == "sagemaker":
            url = _presigned_url(operation, parameters, ingress.region)
            if url is not None:
                return _json({"AuthorizedUrl": url})
            return self._control.sagemaker(request, host=f"api.{domain}")
        if operations.service_name == "sagemaker-metrics":
            return self._control.sagemaker_metrics(request, host=f"metrics.{domain}")
        raise unsupported(operation)


def _presigned_url(operation: str, parameters: Mapping[str, Any], region: str) -> str | None:
    """Return the URL that a ``CreatePresigned…Url`` operation answers; ``None``: it is another."""
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


def _dated(response: Response, now: dt.datetime) -> Response:
    """Return an answer with the ``Date`` of the clock that counts, in place of moto's."""
    date = email.utils.format_datetime(now.replace(tzinfo=dt.timezone.utc), usegmt=True)
    kept = (header for header in response.headers if header[0].lower() != "date")
    return dataclasses.replace(response, headers=(("Date", date), *kept))


def _exhaust(response: Response) -> None:
    """Let a model that is a generator run to its end."""
    if not isinstance(response.body, bytes):
        for _ in response.body:
            pass


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
