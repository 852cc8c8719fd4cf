"""The Runtime's operations as HTTP, read off botocore's own model.

botocore stays the reference: member names, header names, paths and limits are its model's, so a
new member is there as soon as botocore has it. Requests are tested equal to the ones that
botocore sends.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.utils import percent_encode

from sm_private_client.errors import ConfigurationError, PayloadError
from sm_private_client.transport.http11 import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

__all__ = ["BODY_LIMITS", "RuntimeOperation"]

BODY_LIMITS: Final = {
    "InvokeEndpoint": 25 * 1024 * 1024,
    "InvokeEndpointWithResponseStream": 25 * 1024 * 1024,
    "InvokeEndpointAsync": 128_000,
}
"""Bytes of ``Body`` (SageMaker developer guide, endpoint quotas; API reference of
InvokeEndpointAsync). The 6 MB in botocore's model is an older page's and not enforced."""

_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


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
        """Gives what goes on the wire.

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
        """Makes the error; the value itself may be confidential and stays out of it."""
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
        self._kept_head = functools.lru_cache(maxsize=256, typed=True)(self._head)
        self._outputs = {
            name: member.serialization["name"].lower()
            for name, member in outputs.members.items()
            if member.serialization.get("location") == "header"
        }

    def head(self, params: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return path and headers of a request; the last ones are kept, as calls have few kinds.

        Args:
            params: Members by botocore's names, without ``Body``; ``None`` counts as not given.

        Raises:
            ConfigurationError: A member is unknown, missing or out of its limits.
        """
        try:
            return self._kept_head(*params, *params.values())
        except TypeError:  # a value that cannot be looked up, which is refused
            return self._head(*params, *params.values())

    def _head(self, *params: Any) -> tuple[str, tuple[tuple[str, str], ...]]:  # noqa: ANN401 - whatever is given
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
                f"{self.name} needs {', '.join(sorted(missing))}.",
                remedy="pass it.",
            )
        return path, tuple(headers)

    def request(self, params: Mapping[str, Any]) -> HttpRequest:
        """Gives the whole request.

        Raises:
            ConfigurationError: See ``head``.
            PayloadError: ``Body`` is not bytes or too large.
        """
        rest = {name: value for name, value in params.items() if name != "Body"}
        path, headers = self.head(rest)
        return self.prepared(path, headers, params.get("Body", b""))

    def prepared(
        self, path: str, headers: tuple[tuple[str, str], ...], body: object
    ) -> HttpRequest:
        """Gives the request of a head that was made before, with its body.

        Raises:
            PayloadError: ``body`` is not bytes or too large.
        """
        return HttpRequest(
            method=self._method, path=path, headers=headers, body=self.checked_body(body)
        )

    def checked_body(self, body: object) -> bytes:
        """Gives the payload as bytes.

        Raises:
            PayloadError: It is not bytes, or larger than the operation takes.
        """
        if isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        if not isinstance(body, bytes):
            raise PayloadError(
                f"The body of {self.name} is a {type(body).__name__}, not bytes; nothing was sent.",
                remedy="pass bytes, or use predict(), which encodes.",
            )
        limit = BODY_LIMITS.get(self.name)
        if limit is not None and len(body) > limit:
            raise PayloadError(
                f"The body has {len(body):,} bytes; {self.name} takes {limit:,}. Nothing was sent.",
                cause="SageMaker's endpoint quotas (developer guide) set this limit.",
                remedy="send less at once, or use submit() with an s3_prefix (up to 1 GB).",
            )
        return body

    def members(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Reads the output members that travel in headers.

        Args:
            headers: By lower-case name.
        """
        return {name: headers[wire] for name, wire in self._outputs.items() if wire in headers}


def _member(name: str, shape: Any) -> _Member:  # noqa: ANN401 - botocore's model
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
    """Translates the model's Java patterns; one that Python cannot read is left to the service."""
    if text is None:
        return None
    for java, python in ((r"\p{ASCII}", r"[\x00-\x7f]"), (r"[\p{Print}]", r"[\x20-\x7e]")):
        text = text.replace(java, python)
    try:
        return re.compile(text.replace(r"\z", r"\Z"))
    except re.error:
        return None
