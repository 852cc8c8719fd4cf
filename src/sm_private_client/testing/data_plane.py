"""The front of SageMaker's services, as it stands behind an ENI and on the internet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sm_private_client.testing.control_plane import unplayed
from sm_private_client.testing.messages import ConnectionCut, Request, Response
from sm_private_client.testing.presigned import presigned_url
from sm_private_client.testing.records import Log, RequestRecord
from sm_private_client.testing.refusals import Refusal, json_error, rest_error
from sm_private_client.testing.signatures import scope_of, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.operations import Operations, ServiceOperations
    from sm_private_client.testing.runtime import RuntimeFront
    from sm_private_client.testing.wire import Connection

__all__ = ["DataPlane", "Door"]

_UNKNOWN = Response(
    status=404,
    headers=(("Content-Type", "application/xml"),),
    body=b"<UnknownOperationException/>\n",
)
"""What AWS's fronts answer to a host or a target that is not theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where requests come in.

    Attributes:
        service_of: Gives boto3's name of the service that a host name belongs to here, or
            ``None`` where the name is not answered for.
        region: The region that must be signed for.
        address: Gives the address that a connection was dialled at.
        availability_zone: The zone; ``None`` on the internet.
        vpc_endpoint_id: The VPC endpoint; ``None`` on the internet.
    """

    service_of: Callable[[str], str | None]
    region: str
    address: Callable[[Connection], str]
    availability_zone: str | None = None
    vpc_endpoint_id: str | None = None


class DataPlane:
    """Checks host, operation and signature, then lets moto or a hosted model answer.

    Attributes:
        requests: What came in.
    """

    def __init__(
        self,
        *,
        operations: Operations,
        control: ControlPlane,
        runtime: RuntimeFront,
        faults: Faults,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self.requests: Log[RequestRecord] = Log()
        self._operations = operations
        self._control = control
        self._runtime = runtime
        self._faults = faults
        self._clock = clock

    def answer(self, door: Door, request: Request, connection: Connection) -> Response:
        """Answers one request at a door, and keeps a record of it."""
        service_name, operations, operation = self._wanted(door, request, connection)
        now, skewed = self._time()
        if self._faults.take("reset-before-model", service_name or ""):
            self._keep(door, request, connection, service_name, operation, None)
            raise ConnectionCut
        if operations is None or operation is None:
            response = _UNKNOWN
        else:
            response = self._judged(door, request, connection, operations, operation, now, skewed)
        if self._faults.take("reset-after-model", service_name or ""):
            _exhaust(response)
            self._keep(door, request, connection, service_name, operation, None)
            raise ConnectionCut
        self._keep(door, request, connection, service_name, operation, response.status)
        return _dated(response, now)

    def begin(self, door: Door, request: Request, connection: Connection) -> None:
        """Looks at a request whose body has not been read yet.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        if not self._faults.active:
            return
        service_name, _, operation = self._wanted(door, request, connection)
        if self._faults.take("reset-before-body", service_name or ""):
            self._keep(door, request, connection, service_name, operation, None)
            raise ConnectionCut

    def _wanted(
        self, door: Door, request: Request, connection: Connection
    ) -> tuple[str | None, ServiceOperations | None, str | None]:
        service_name = door.service_of(request.host)
        if connection.sni is not None and door.service_of(connection.sni) != service_name:
            service_name = None
        operations = self._operations.of(service_name) if service_name else None
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
        door: Door,
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
                region=door.region,
                service=operations.signing_name,
                find_credentials=self._control.find_credentials,
                now=now,
                skewed=skewed,
            )
            self._control.check(f"{operations.signing_name}:{operation}")
            return self._play(request, connection, operations, operation, door.region)
        except Refusal as refusal:
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
        if service_name == "sagemaker-runtime":
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

    def _keep(
        self,
        door: Door,
        request: Request,
        connection: Connection,
        service_name: str | None,
        operation: str | None,
        status: int | None,
    ) -> None:
        scope = scope_of(request)
        self.requests.append(
            RequestRecord(
                service_name=service_name or "",
                operation=operation,
                method=request.method,
                path=request.path,
                address=door.address(connection),
                availability_zone=door.availability_zone,
                vpc_endpoint_id=door.vpc_endpoint_id,
                sni=connection.sni,
                host=request.host,
                signing_region=scope.region if scope else None,
                signing_service=scope.service if scope else None,
                access_key_id=scope.access_key_id if scope else None,
                status=status,
            )
        )


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
        raise Refusal("SerializationException", "The body is not a JSON object.")
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
