"""The Runtime's operations as HTTP requests and responses, read off botocore's own model.

botocore stays the reference. Member names, header names, paths and limits are those of its model,
so a new member is there as soon as botocore has it. Requests are tested equal to botocore's.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import botocore.parsers
from botocore.awsrequest import HeadersDict
from botocore.utils import percent_encode

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.transport.http11 import FIRST_ERROR, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel, ServiceModel, Shape

    from sm_private_client.transport.http11 import HttpResponse
    from sm_private_client.types import Value

__all__ = [
    "BODY_LIMITS",
    "REQUEST_ID",
    "OperationResult",
    "RuntimeModel",
    "RuntimeOperation",
    "bytes_of",
    "result_of",
    "runtime_operations",
    "zone_of",
]

E = TypeVar("E", bound=BaseException)

BODY_LIMITS: Final = {
    "InvokeEndpoint": 25 * 1024 * 1024,
    "InvokeEndpointWithResponseStream": 25 * 1024 * 1024,
    "InvokeEndpointAsync": 128_000,
}
"""Bytes of ``Body`` (SageMaker developer guide, endpoint quotas; API reference of
InvokeEndpointAsync). The 6 MB in botocore's model is an older page's and not enforced."""

REQUEST_ID: Final = "x-amzn-requestid"
"""The header with the service's id of a request."""

_ZONE: Final = "_sm_private_zone"
_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class OperationResult(NamedTuple):
    """The answer of an operation.

    Attributes:
        members: The output's members by botocore's names; ``Body`` as bytes, without it for a
            stream.
        request_id: The service's id of the request, if it sent one.
        availability_zone: The zone that answered; ``None`` if not known.
        status: The HTTP status; ``None`` if not known.
    """

    members: Mapping[str, Any]
    request_id: str | None
    availability_zone: str | None = None
    status: int | None = None


class _Member(NamedTuple):
    """One input member that does not travel in the body."""

    name: str
    location: str
    wire_name: str
    kind: str
    least: float | None
    most: float | None
    pattern: re.Pattern[str] | None

    def text(self, value: object) -> str:
        """Return the text for the wire.

        Raises:
            ConfigurationError: The type or the value is out of the model's limits.
        """
        if self.kind == "integer":
            if not isinstance(value, int) or isinstance(value, bool):
                raise self._refused(f"is a {type(value).__name__}, not an integer", "")
            self._check_range(value, f"is {value}")
            return str(value)
        if not isinstance(value, str):
            raise self._refused(f"is a {type(value).__name__}, not a text", "")
        self._check_range(len(value), f"has {len(value)} characters")
        if _BREAKS.search(value):
            raise self._refused("has control characters", "they would break the header")
        if self.pattern is not None and not self.pattern.fullmatch(value):
            raise self._refused(
                "has characters or a form that is not allowed", self.pattern.pattern
            )
        if not value.isascii():
            raise self._refused("has characters outside ASCII", "headers carry ASCII")
        return value

    def _check_range(self, size: float, what: str) -> None:
        if self.least is not None and size < self.least:
            raise self._refused(what, f"at least {self.least:g}")
        if self.most is not None and size > self.most:
            raise self._refused(what, f"at most {self.most:g}")

    def _refused(self, what: str, limit: str) -> ConfigurationError:
        """Return the error; the value may be confidential and stays out of it."""
        return ConfigurationError(
            f"{self.name} {what}; nothing was sent.",
            cause=f"the service's model allows: {limit}." if limit else "",
            remedy=f"pass a {self.name} as the API reference of SageMaker Runtime has it.",
        )


class RuntimeOperation:
    """One operation of SageMaker Runtime.

    Args:
        model: botocore's model of it.
    """

    def __init__(self, model: OperationModel) -> None:
        self.name = model.name
        outputs: Any = model.output_shape
        self.output_shape = outputs
        http: Mapping[str, str] = model.http
        self._method = http["method"]
        self._path = http["requestUri"]
        shape: Any = model.input_shape
        self._required = frozenset(shape.required_members)
        self.input_members: tuple[str, ...] = tuple(shape.members)
        self._members = {
            name: _member(name, member)
            for name, member in shape.members.items()
            if "location" in member.serialization
        }
        self._cached_head = functools.lru_cache(maxsize=256, typed=True)(self._head)
        self._outputs = {
            name: member.serialization["name"].lower()
            for name, member in outputs.members.items()
            if member.serialization.get("location") == "header"
        }

    def head(self, params: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return path and headers of a request; a cache holds the last ones.

        Args:
            params: Members by botocore's names, without ``Body``; ``None`` counts as not given.

        Raises:
            ConfigurationError: A member is unknown, missing or out of its limits.
        """
        try:
            return self._cached_head(*params, *params.values())
        except TypeError:  # a value that cannot be looked up, which is refused
            return self._head(*params, *params.values())

    def _head(self, *params: Value) -> tuple[str, tuple[tuple[str, str], ...]]:
        path = self._path
        headers = []
        names, values = params[: len(params) // 2], params[len(params) // 2 :]
        for name, value in zip(names, values, strict=True):
            if value is None:
                continue
            member = self._members.get(name)
            if member is None:
                raise ConfigurationError(
                    f"{self.name} has no member {name!r}.",
                    cause="this botocore's model of SageMaker Runtime does not have it.",
                    remedy=f"use some of {', '.join(self.input_members)}, or a newer botocore.",
                )
            text = member.text(value)
            if member.location == "uri":
                path = path.replace(f"{{{member.wire_name}}}", percent_encode(text))
            else:
                headers.append((member.wire_name, text))
        missing = self._required.difference(names, ("Body",))
        if missing:
            raise ConfigurationError(
                f"{self.name} needs {', '.join(sorted(missing))}.", remedy="pass it."
            )
        return path, tuple(headers)

    def request(self, params: Mapping[str, Any]) -> HttpRequest:
        """Return the whole request.

        Raises:
            ConfigurationError: See ``head``.
            PayloadError: See ``checked_body``.
        """
        rest = dict(params)
        body = rest.pop("Body", b"")
        path, headers = self.head(rest)
        return HttpRequest(
            method=self._method, path=path, headers=headers, body=self.checked_body(body)
        )

    def checked_body(self, body: object) -> bytes:
        """Return the payload as bytes.

        Raises:
            PayloadError: It is not bytes, or larger than the operation takes.
        """
        payload = bytes_of(
            body,
            f"The body of {self.name}",
            remedy="pass bytes, or use predict(), which encodes.",
        )
        limit = BODY_LIMITS[self.name]
        if len(payload) > limit:
            raise PayloadError(
                f"The body has {len(payload):,} bytes; {self.name} takes {limit:,}. "
                "Nothing was sent.",
                cause="SageMaker's endpoint quotas (developer guide) set this limit.",
                remedy="send less at once, or use submit() with an s3_prefix (up to 1 GB).",
            )
        return payload

    def members(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the output members that travel in headers.

        Args:
            headers: By lower-case name.
        """
        return {name: headers[wire] for name, wire in self._outputs.items() if wire in headers}


class RuntimeModel:
    """The three operations, and how their responses become results or the client's own errors.

    Args:
        model: botocore's model of ``sagemaker-runtime``.
        exceptions: Returns the ``exceptions`` of a client; called at the first error.
    """

    def __init__(self, model: ServiceModel, exceptions: Callable[[], Any]) -> None:
        self.operations = runtime_operations(model)
        self._exceptions = exceptions
        self._model = model
        self._parser = botocore.parsers.create_parser("rest-json")

    def result(self, operation: RuntimeOperation, response: HttpResponse) -> OperationResult:
        """Return the result from a response that has come whole.

        Raises:
            ClientError: The service answered with an error; the client's own class.
        """
        if response.status >= FIRST_ERROR:
            error = self._error(operation, response)
            vars(error)[_ZONE] = response.availability_zone
            raise error
        if operation.name == "InvokeEndpointAsync":  # one member of it travels in the body
            members = dict(result_of(self._parsed(operation, response, response.body)).members)
        else:
            members = {**operation.members(response.headers), "Body": response.body}
        return OperationResult(
            members=members,
            request_id=response.headers.get(REQUEST_ID),
            availability_zone=response.availability_zone,
            status=response.status,
        )

    def exception(self, operation: RuntimeOperation, parsed: dict[str, Any]) -> Exception:
        """Return the client's own exception for an error response as botocore parses it."""
        code = parsed.get("Error", {}).get("Code")
        error: Exception = self._exceptions().from_code(code)(parsed, operation.name)
        return error

    def _error(self, operation: RuntimeOperation, response: HttpResponse) -> Exception:
        """Return the exception of a boto3 client for an error response.

        If botocore's parser cannot read the body, on which boto3 fails with an ``AttributeError``
        or the like, the body is the error's message.
        """
        try:
            parsed = self._parsed(operation, response, response.body)
        except (AttributeError, LookupError, TypeError, ValueError):
            message = json.dumps({"message": response.body.decode("utf-8", "replace")})
            parsed = self._parsed(operation, response, message.encode())
        return self.exception(operation, parsed)

    def _parsed(
        self, operation: RuntimeOperation, response: HttpResponse, body: bytes
    ) -> dict[str, Any]:
        raw = {"status_code": response.status, "headers": HeadersDict(response.headers)}
        raw["body"] = body
        parsed: dict[str, Any] = self._parser.parse(raw, operation.output_shape)
        code = parsed.get("Error", {}).get("Code")
        shape = self._model.shape_for_error_code(code) if code else None
        if shape is not None:  # such as ModelError, which has members of its own
            parsed.update(self._parser.parse(raw, shape))
        return parsed


def runtime_operations(model: ServiceModel) -> dict[str, RuntimeOperation]:
    """Return the three operations of botocore's model by name."""
    return {name: RuntimeOperation(model.operation_model(name)) for name in BODY_LIMITS}


def bytes_of(body: object, name: str, *, remedy: str) -> bytes:
    """Return a payload as bytes.

    Raises:
        PayloadError: It is something else.
    """
    if isinstance(body, (bytearray, memoryview)):
        body = bytes(body)
    if not isinstance(body, bytes):
        raise PayloadError(
            f"{name} is a {type(body).__name__}, not bytes; nothing was sent.", remedy=remedy
        )
    return body


def result_of(output: dict[str, Any], body: bytes | None = None) -> OperationResult:
    """Return the result from what a boto3 client returns, whose ``Body`` was read."""
    metadata = output.pop("ResponseMetadata", {})
    return OperationResult(
        members=output if body is None else {**output, "Body": body},
        request_id=metadata.get("RequestId"),
        status=metadata.get("HTTPStatusCode"),
    )


def zone_of(error: BaseException) -> str | None:
    """Return the zone that a service's error came from; ``None`` if not known."""
    zone: str | None = getattr(error, _ZONE, None)
    return zone


def _member(name: str, shape: Shape) -> _Member:
    metadata = shape.metadata
    return _Member(
        name=name,
        location=shape.serialization["location"],
        wire_name=shape.serialization["name"],
        kind=shape.type_name,
        least=metadata.get("min"),
        most=metadata.get("max"),
        pattern=_pattern(metadata.get("pattern")),
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    """Translate a Java pattern of the model; leave one that Python cannot read to the service."""
    if text is None:
        return None
    for java, python in ((r"\p{ASCII}", r"[\x00-\x7f]"), (r"[\p{Print}]", r"[\x20-\x7e]")):
        text = text.replace(java, python)
    try:
        return re.compile(text.replace(r"\z", r"\Z"))
    except re.error:
        return None
