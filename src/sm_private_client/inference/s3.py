"""S3 as asynchronous inference needs it: put an input, check if an object is there.

These calls go where the S3 client goes; only a sealed session judges their addresses.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import ConfigurationError
from sm_private_client.inference.retry_policy import RetryPolicy
from sm_private_client.inference.retry_rules import classify, describe
from sm_private_client.privatelink.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.types import BotoClient

__all__ = ["S3_CONFIG", "ObjectStatus", "S3Location", "S3Objects", "checked_extra_args"]

S3_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}
)
"""For S3 clients made here: a check over a network that is gone ends within seconds."""

_LOCATION: Final = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{2,254})(?:/(.*))?")
"""Amazon S3 user guide, "General purpose bucket naming rules", old buckets included."""

_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_READING: Final = RetryPolicy(safe_to_repeat=True)  # reading an object again changes nothing

_OWNED_ARGS: Final = frozenset({"ContentType"})  # it is the input's own


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Location:
    """An object, or a prefix that objects are put under.

    Attributes:
        bucket: The bucket.
        key: The object's key, or the prefix, which may be empty.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str, *, name: str, needs_key: bool = True) -> S3Location:
        """Return the location of ``s3://bucket/key``.

        Args:
            text: The location.
            name: The argument that it is from, for the error.
            needs_key: It must name an object.

        Raises:
            ConfigurationError: It is not of that form.
        """
        found = _LOCATION.fullmatch(text) if isinstance(text, str) else None
        key = (found[2] or "") if found is not None else ""
        if found is None or (needs_key and not key):
            form = "s3://bucket/key" if needs_key else "s3://bucket/prefix/"
            raise ConfigurationError(
                f"{name}={text!r} is not a location in S3; nothing was sent.",
                remedy=f"give it as {form}.",
            )
        return cls(bucket=found[1], key=key)

    def below(self, name: str) -> S3Location:
        """Return the location of an object under this prefix."""
        separator = "" if not self.key or self.key.endswith("/") else "/"
        return S3Location(bucket=self.bucket, key=f"{self.key}{separator}{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectStatus:
    """The result of one check for an object.

    Attributes:
        location: The object.
        state: ``found``; ``absent``; ``denied``, S3 answered 403; ``unreachable``, S3 did not
            answer, or asked to come again.
        body: The object, if it was found and read.
        content_type: The object's, if it was found.
        reason: The error in a few words, if it was denied or unreachable.
    """

    location: S3Location
    state: Literal["found", "absent", "denied", "unreachable"]
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    reason: str = ""


class S3Objects:
    """Objects in S3, reached with one client a process; safe between threads.

    It pickles without the client: the factory is pickled, or the given client's region and
    endpoint URL. The process that unpickles it makes a client on first use, with the credentials
    that it has there. A forked child closes its parent's connections before it uses the client.

    Args:
        source: A boto3 S3 client, or a function that makes one, called on first use.
    """

    def __init__(self, source: BotoClient) -> None:
        self._make: Callable[[], BotoClient] | None = source if callable(source) else None
        self._client: BotoClient = None if callable(source) else source
        self._begin()

    @classmethod
    def of_session(cls, session: boto3.session.Session | None = None) -> S3Objects:
        """Use the S3 client of a session, boto3's default session if none is given."""
        return cls(functools.partial(_client_of, session))

    def __repr__(self) -> str:
        return redacted(f"S3Objects({self._make or self._client!r})")  # a client's URL is in it

    def __reduce__(self) -> tuple[Any, ...]:
        make = self._make
        if make is None:
            meta = self._client.meta
            make = functools.partial(
                _client_of, None, region_name=meta.region_name, endpoint_url=meta.endpoint_url
            )
        return S3Objects, (make,)

    def check(self, location: S3Location, *, read: bool) -> ObjectStatus:
        """Check once if an object is there.

        403 is ``denied`` and no error: without ``s3:ListBucket``, S3 answers it for an object
        that is not there. Only what KMS denies is an error at once: it is asked for objects that
        are there.

        Args:
            location: The object.
            read: Read its body, too.

        Raises:
            ClientError: S3 answered with an error that waiting does not mend, ``NoSuchBucket``
                among them.
            BotoCoreError: There are no credentials, or the certificate is not trusted.
        """
        # GetObject, not HeadObject: an answer without a body cannot tell a missing bucket from a
        # missing object.
        try:
            response = self._get().get_object(Bucket=location.bucket, Key=location.key)
            with contextlib.closing(response["Body"]) as stream:
                body = stream.read() if read else b""
        except (ClientError, BotoCoreError) as error:
            return _status_of(location, error)
        return ObjectStatus(
            location=location,
            state="found",
            body=body,
            content_type=response.get("ContentType", ""),
        )

    def put(
        self,
        location: S3Location,
        body: bytes,
        *,
        content_type: str | None,
        extra_args: Mapping[str, Any],
    ) -> None:
        """Write an object.

        Raises:
            ClientError, BotoCoreError: As S3's PutObject.
        """
        typed = {"ContentType": content_type} if content_type else {}
        self._get().put_object(
            Bucket=location.bucket, Key=location.key, Body=body, **typed, **extra_args
        )

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()

    def _get(self) -> BotoClient:
        if self._process != os.getpid():
            self._begin()  # the parent's lock may have been held when it forked
            if self._client is not None:
                self._client.close()
        with self._lock:
            if self._client is None and self._make is not None:
                self._client = self._make()
            return self._client


def checked_extra_args(extra_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the arguments for uploads, as boto3's ``ExtraArgs`` has them.

    Raises:
        ConfigurationError: boto3 does not know one, or it is decided by the input itself.
    """
    from boto3.s3.transfer import S3Transfer  # noqa: PLC0415 - every predictor loads this module

    allowed = sorted(set(S3Transfer.ALLOWED_UPLOAD_ARGS) - _OWNED_ARGS)
    for name in extra_args or {}:
        if name not in allowed:
            raise ConfigurationError(
                f"extra_args has {name!r}; nothing was sent.",
                cause="the content type is the input's own."
                if name in _OWNED_ARGS
                else "boto3's S3Transfer.ALLOWED_UPLOAD_ARGS does not have it.",
                remedy=f"use some of {', '.join(allowed)}.",
            )
    return dict(extra_args or {})


def _status_of(location: S3Location, error: ClientError | BotoCoreError) -> ObjectStatus:
    """Return the status that an error of GetObject means, or raise the error."""
    rule = classify(error)
    if isinstance(error, ClientError):
        known = error.response.get("Error", {})
        if known.get("Code") in _ABSENT:
            return ObjectStatus(location=location, state="absent")
        if rule.name == "not-permitted" and "kms:" not in known.get("Message", ""):
            return ObjectStatus(location=location, state="denied", reason=describe(error))
    if rule.allows(error, _READING):
        return ObjectStatus(location=location, state="unreachable", reason=describe(error))
    raise error


def _client_of(session: boto3.session.Session | None, **options: str) -> BotoClient:
    make: Any = (session or boto3.session.Session()).client
    return make("s3", config=S3_CONFIG, **options)
