"""S3 as asynchronous inference needs it: put an input, look for an object.

These calls go where the S3 client that was given goes; only a sealed session judges them.
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
from sm_private_client.privatelink.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["S3_CONFIG", "Look", "S3Location", "S3Objects", "checked_extra_args"]

S3_CONFIG: Final = Config(
    connect_timeout=3, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}
)
"""For S3 clients made here: a look at a network that is gone ends within seconds."""

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
        """Reads ``s3://bucket/key``.

        Args:
            text: The location.
            name: The argument that it is from, for the error.
            needs_key: Whether it must name an object.

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
        """Gives the location of an object under this prefix."""
        separator = "" if not self.key or self.key.endswith("/") else "/"
        return S3Location(bucket=self.bucket, key=f"{self.key}{separator}{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look for an object saw.

    Attributes:
        location: Where it looked.
        state: ``found``; ``absent``; ``denied``, S3 answered 403; ``unreachable``, S3 did not
            answer, or asked to come again.
        body: The object, where it was found and read.
        content_type: The object's, where it was found.
        why: The error in a few words, where it was denied or unreachable.
    """

    location: S3Location
    state: Literal["found", "absent", "denied", "unreachable"]
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    why: str = ""


class S3Objects:
    """Puts and finds objects with one S3 client a process; safe between threads.

    It pickles without the client: the factory is pickled, or the given client's region and
    endpoint URL, and what unpickles it makes a client on first use with the credentials that it
    has there. A forked child closes the connections that it got from its parent before it uses
    the client.

    Args:
        source: A boto3 S3 client, or a function that makes one, called on first use.
    """

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._make: Callable[[], Any] | None = source if callable(source) else None
        self._client: Any = None if callable(source) else source
        self._begin()

    @classmethod
    def of_session(cls, session: boto3.session.Session | None = None) -> S3Objects:
        """Uses the S3 client that a session makes; boto3's defaults where none is given."""
        return cls(functools.partial(_client_of, session))

    def __repr__(self) -> str:
        return redacted(f"S3Objects({self._make or self._client!r})")  # a client's URL is in it

    def __reduce__(self) -> tuple[Any, ...]:
        make = self._make
        if make is None:
            meta = self._client.meta
            make = functools.partial(_client_again, meta.region_name, meta.endpoint_url)
        return S3Objects, (make,)

    def look(self, location: S3Location, *, read: bool) -> Look:
        """Looks for an object once.

        403 is ``denied`` and no error, because S3 answers it for an object that is not there
        where ``s3:ListBucket`` is missing. Only what KMS denies is an error at once: it is asked
        for objects that are there.

        Args:
            location: Which object.
            read: Whether its body is read, or only its being there matters.

        Raises:
            ClientError: S3 answered with an error that waiting does not mend, ``NoSuchBucket``
                among them.
            BotoCoreError: There are no credentials, or the certificate is not trusted.
        """
        # GetObject, not HeadObject: an answer without a body cannot tell a missing bucket from a
        # missing object.
        try:
            answer = self._get().get_object(Bucket=location.bucket, Key=location.key)
            with contextlib.closing(answer["Body"]) as body:
                held = body.read() if read else b""
        except (ClientError, BotoCoreError) as error:
            return _no_object(location, error)
        return Look(
            location=location,
            state="found",
            body=held,
            content_type=answer.get("ContentType", ""),
        )

    def put(
        self,
        location: S3Location,
        body: bytes,
        *,
        content_type: str | None,
        extra_args: Mapping[str, Any],
    ) -> None:
        """Writes an object.

        Raises:
            ClientError, BotoCoreError: As S3's PutObject.
        """
        given = {"ContentType": content_type} if content_type else {}
        self._get().put_object(
            Bucket=location.bucket, Key=location.key, Body=body, **given, **extra_args
        )

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()

    def _get(self) -> Any:  # noqa: ANN401
        if self._process != os.getpid():
            self._begin()  # the parent's lock may have been held when it forked
            if self._client is not None:
                self._client.close()
        with self._lock:
            if self._client is None and self._make is not None:
                self._client = self._make()
            return self._client


def checked_extra_args(extra_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """Gives the arguments for uploads, as boto3's ``ExtraArgs`` has them.

    Raises:
        ConfigurationError: boto3 does not know one, or it is decided by the input itself.
    """
    from boto3.s3.transfer import S3Transfer  # noqa: PLC0415 - every predictor loads this module

    given = dict(extra_args or {})
    allowed = sorted(set(S3Transfer.ALLOWED_UPLOAD_ARGS) - _OWNED_ARGS)
    for name in given:
        if name not in allowed:
            raise ConfigurationError(
                f"extra_args has {name!r}; nothing was sent.",
                cause="the content type is the input's own."
                if name in _OWNED_ARGS
                else "boto3's S3Transfer.ALLOWED_UPLOAD_ARGS does not have it.",
                remedy=f"use some of {', '.join(allowed)}.",
            )
    return given


def _no_object(location: S3Location, error: ClientError | BotoCoreError) -> Look:
    """Says what an error of GetObject means, or raises it."""
    # Here: every predictor loads this module, and few read an object that is not there.
    from sm_private_client.inference.retry_rules import classify, describe  # noqa: PLC0415

    if isinstance(error, ClientError):
        known = error.response.get("Error", {})
        if known.get("Code") in _ABSENT:
            return Look(location=location, state="absent")
        if classify(error).name == "not-permitted" and "kms:" not in known.get("Message", ""):
            return Look(location=location, state="denied", why=describe(error))
    if classify(error, _READING).retry:
        return Look(location=location, state="unreachable", why=describe(error))
    raise error


def _client_of(session: boto3.session.Session | None) -> Any:  # noqa: ANN401
    make: Any = (session or boto3.session.Session()).client
    return make("s3", config=S3_CONFIG)


def _client_again(region_name: str, endpoint_url: str) -> Any:  # noqa: ANN401
    make: Any = boto3.session.Session().client
    return make("s3", region_name=region_name, endpoint_url=endpoint_url, config=S3_CONFIG)
