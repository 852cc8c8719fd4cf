"""The exceptions of this package, in one tree.

::

    PrivateClientError (BotoCoreError)
    ├── ConfigurationError (also ValueError)     an argument, variable or profile key is wrong
    │   └── MissingRegionError (also botocore's NoRegionError)
    ├── RoutingError                             .attempts: there is no route to the service
    │   ├── NoPrivateRouteError
    │   ├── AmbiguousVpcEndpointError            .candidates
    │   ├── VpcEndpointUnavailableError          .state
    │   ├── FipsUnavailableError
    │   └── DiscoveryError                       EC2 could not be asked
    ├── PublicAddressError                       .host .address: refused before a byte was sent
    ├── StreamError
    │   └── StreamInterruptedError               .parts_received
    ├── PayloadError (also ValueError)           encoding, decoding, size
    ├── JobError
    │   ├── JobFailedError
    │   └── JobTimeoutError
    ├── PolicyError (also ValueError)            .place .remedy
    ├── ProvisioningError                        .made .left
    └── MissingExtraError (also ImportError)     .extra

Each is a ``botocore.exceptions.BotoCoreError``, so code that catches boto's errors keeps
catching; none is an ``HTTPClientError``, which botocore would retry. The message of each has
what happened, the cause (or possible causes) and the remedy; ``reference`` is an anchor of
``docs/errors.md``. All of them pickle. None holds a payload, a credential or a signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from botocore.exceptions import BotoCoreError, NoRegionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Unpack

    from sm_private_client.privatelink.records import Evidence, VpcEndpoint

__all__ = [
    "AmbiguousVpcEndpointError",
    "ConfigurationError",
    "DiscoveryError",
    "FipsUnavailableError",
    "JobError",
    "JobFailedError",
    "JobTimeoutError",
    "MissingExtraError",
    "MissingRegionError",
    "NoPrivateRouteError",
    "PayloadError",
    "PolicyError",
    "PrivateClientError",
    "ProvisioningError",
    "PublicAddressError",
    "RoutingError",
    "StreamError",
    "StreamInterruptedError",
    "VpcEndpointUnavailableError",
]


class Explanation(TypedDict, total=False):
    """What every error of this package can be made with.

    Attributes:
        cause: Why it happened.
        possible_causes: Why it may have happened; used if there is no ``cause``.
        remedy: What to do about it, in the imperative; several are tried in order.
    """

    cause: str
    possible_causes: Sequence[str]
    remedy: str | Sequence[str]


class PrivateClientError(BotoCoreError):
    """The root of the tree; see the module docstring.

    Args:
        what: What happened, with names and values.
        **explanation: See ``Explanation``.

    Attributes:
        what: As given.
        cause: As given.
        remedies: As given.
    """

    reference: ClassVar[str] = "private-client-error"

    def __init__(self, what: str, **explanation: Unpack[Explanation]) -> None:
        self.kwargs: dict[str, Any] = {}  # BotoCoreError's attribute, read by botocore's loggers
        self.what = what
        self.cause = explanation.get("cause", "")
        remedy = explanation.get("remedy", ())
        self.remedies = tuple(filter(None, (remedy,) if isinstance(remedy, str) else remedy))
        possible_causes = "; ".join(explanation.get("possible_causes", ()))
        lines = [what]
        if self.cause:
            lines.append(f"Cause: {self.cause}")
        elif possible_causes:
            lines.append(f"Possible causes: {possible_causes}.")
        if len(self.remedies) == 1:
            lines.append(f"Remedy: {self.remedies[0]}")
        elif self.remedies:
            lines.append("Remedies, in order:")
            lines.extend(f"  {number}. {text}" for number, text in enumerate(self.remedies, 1))
        lines.append(f"See docs/errors.md#{self.reference}")
        Exception.__init__(self, "\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    cls: type[PrivateClientError], args: tuple[Any, ...], state: dict[str, Any]
) -> PrivateClientError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class ConfigurationError(PrivateClientError, ValueError):
    """An argument, an environment variable or a profile key cannot be used as it is."""

    reference = "configuration"


class MissingRegionError(ConfigurationError, NoRegionError):
    """No region is set, or only in a place that boto3 does not read."""

    reference = "missing-region"


class RoutingError(PrivateClientError):
    """There is no route to the service.

    Attributes:
        attempts: The steps in the order they were tried, with what each saw.
    """

    reference = "routing"

    def __init__(
        self, what: str, *, attempts: Iterable[Evidence] = (), **explanation: Unpack[Explanation]
    ) -> None:
        self.attempts = tuple(attempts)
        tried = "".join(f"\n  {a.step} ({a.outcome}): {a.detail}" for a in self.attempts)
        super().__init__(f"{what}{' Tried, in order:' if tried else ''}{tried}", **explanation)


class NoPrivateRouteError(RoutingError):
    """Every step was tried and none led to the service privately."""

    reference = "no-private-route"


class AmbiguousVpcEndpointError(RoutingError):
    """VPC endpoints in several VPCs could be meant, and nobody says which VPC this is.

    Attributes:
        candidates: The VPC endpoints found.
    """

    reference = "ambiguous-vpc-endpoint"

    def __init__(
        self, what: str, *, candidates: Iterable[VpcEndpoint], **explanation: Unpack[Explanation]
    ) -> None:
        self.candidates = tuple(candidates)
        listed = "".join(f"\n  {c.vpc_endpoint_id} in {c.vpc_id}" for c in self.candidates)
        super().__init__(f"{what}{listed}", **explanation)


class VpcEndpointUnavailableError(RoutingError):
    """The VPC endpoint exists but is not in the state ``available``.

    Attributes:
        state: Its state, in lower case.
    """

    reference = "vpc-endpoint-unavailable"

    def __init__(self, what: str, *, state: str, **explanation: Unpack[Explanation]) -> None:
        self.state = state
        super().__init__(what, **explanation)


class FipsUnavailableError(RoutingError):
    """FIPS is set and there is no private FIPS route; it is never dropped silently."""

    reference = "fips-unavailable"


class DiscoveryError(RoutingError):
    """EC2 could not be asked about VPC endpoints."""

    reference = "discovery"


class PublicAddressError(PrivateClientError):
    """A host resolved to an address that is not private for this VPC; nothing was sent.

    Attributes:
        host: The host name that was looked up.
        address: The address that was refused.
    """

    reference = "public-address"

    def __init__(
        self, what: str, *, host: str, address: str, **explanation: Unpack[Explanation]
    ) -> None:
        self.host = host
        self.address = address
        super().__init__(what, **explanation)


class StreamError(PrivateClientError):
    """A response stream ended in an error."""

    reference = "stream"


class StreamInterruptedError(StreamError):
    """A response stream was cut.

    Attributes:
        parts_received: How many payload parts had arrived.
    """

    reference = "stream-interrupted"

    def __init__(
        self, what: str, *, parts_received: int, **explanation: Unpack[Explanation]
    ) -> None:
        self.parts_received = parts_received
        super().__init__(what, **explanation)


class PayloadError(PrivateClientError, ValueError):
    """A payload cannot be encoded, decoded or sent at its size."""

    reference = "payload"


class JobError(PrivateClientError):
    """An asynchronous inference job has no result."""

    reference = "job"


class JobFailedError(JobError):
    """The job wrote a failure object."""

    reference = "job-failed"


class JobTimeoutError(JobError):
    """The job wrote neither output nor failure in time."""

    reference = "job-timeout"


class PolicyError(PrivateClientError, ValueError):
    """A policy document is not valid.

    Attributes:
        place: Where in the document, such as ``Statement[1].Action``; empty for the whole of it.
    """

    reference = "policy"

    def __init__(self, what: str, *, place: str = "", **explanation: Unpack[Explanation]) -> None:
        self.place = place
        super().__init__(what, **explanation)

    @property
    def remedy(self) -> str:
        """What to write instead."""
        return " ".join(self.remedies)


class ProvisioningError(PrivateClientError):
    """A VPC endpoint, or what it needs, could not be made, changed or removed.

    Attributes:
        made: The ids of what had been made until then.
        left: The ids of what of it is still there, because undoing it failed too.
    """

    reference = "provisioning"

    def __init__(
        self,
        what: str,
        *,
        made: Iterable[str] = (),
        left: Iterable[str] = (),
        **explanation: Unpack[Explanation],
    ) -> None:
        self.made = tuple(made)
        self.left = tuple(left)
        super().__init__(what, **explanation)


class MissingExtraError(PrivateClientError, ImportError):
    """An optional dependency is not installed.

    Attributes:
        extra: The extra that brings it.
    """

    reference = "missing-extra"

    def __init__(self, feature: str, *, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{feature} needs the optional dependencies of the extra {extra!r}.",
            cause="they are not installed in this environment.",
            remedy=f"run: pip install 'sm-private-client[{extra}]'",
        )
