"""Words of ``services=``, and the endpoint services that they stand for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sm_private_client.errors import ConfigurationError, FipsUnavailableError
from sm_private_client.privatelink.hostnames import endpoint_service_name
from sm_private_client.privatelink.other_services import (
    OTHER_SERVICES,
    endpoint_service_names,
    other_service,
)
from sm_private_client.privatelink.services import (
    CATALOGUE,
    by_endpoint_service_name,
    canonical_service_name,
    for_service,
    is_family,
    routable_service_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.privatelink.hostnames import Partition
    from sm_private_client.privatelink.services import EndpointService
    from sm_private_client.provisioning.records import Kind

__all__ = ["RequestedService", "resolve_services"]

_INTERFACE_SUFFIX: Final = "-interface"
"""``s3`` is the gateway, ``s3-interface`` the interface VPC endpoint."""

_BROWSER: Final = {row.name_suffix: row for row in CATALOGUE if row.is_browser_only}


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestedService:
    """One service that is to get a VPC endpoint.

    Attributes:
        service: The word it was requested with.
        names: The names that its endpoint service may have; EC2 knows one of them.
        service_name: boto3's name of the service; empty if no client calls it.
    """

    service: str
    names: tuple[str, ...]
    kind: Kind = "Interface"
    service_name: str = ""


def resolve_services(
    services: Iterable[str], *, region: str, partition: Partition, fips: bool
) -> tuple[RequestedService, ...]:
    """Return what each word stands for; see ``plan_vpc_endpoints``.

    Raises:
        ConfigurationError: A word is not known, is there twice, or there is none.
        FipsUnavailableError: A service of the family has no FIPS endpoint service.
    """
    words = (services,) if isinstance(services, str) else services
    requested = tuple(_requested(word, region, partition, fips=fips) for word in words)
    if not requested:
        raise ConfigurationError(
            "services is empty, so there is nothing to plan.",
            remedy="name at least one, such as services=('sagemaker', 'sagemaker-runtime').",
        )
    seen: dict[tuple[str, ...], str] = {}
    for one in requested:
        if (key := (*one.names, one.kind)) in seen:
            raise ConfigurationError(
                f"services names {seen[key]!r} and {one.service!r}, which are the same.",
                remedy="name it once.",
            )
        seen[key] = one.service
    return requested


def _requested(word: str, region: str, partition: Partition, *, fips: bool) -> RequestedService:
    if word.count(".") > 1:  # a full name, such as com.amazonaws.us-east-1.ecr.dkr
        row = by_endpoint_service_name(word)
        service_name = (row.service_name if row else None) or ""
        return RequestedService(service=word, names=(word,), service_name=service_name)
    if word in _BROWSER:
        name = endpoint_service_name(_BROWSER[word], region=region, partition=partition)
        return RequestedService(service=word, names=(name,))
    canonical = canonical_service_name(word)
    if is_family(canonical):
        row = _family_row(canonical, fips=fips)
        name = endpoint_service_name(row, region=region, partition=partition)
        return RequestedService(service=canonical, names=(name,), service_name=canonical)
    bare = word.removesuffix(_INTERFACE_SUFFIX)
    found = other_service(bare)
    if found is None or (bare != word and not found.has_gateway):
        raise _unknown(word)
    return RequestedService(
        service=word,
        names=endpoint_service_names(found, region=region, partition=partition),
        kind="Gateway" if found.has_gateway and bare == word else "Interface",
        service_name=found.service_name,
    )


def _family_row(word: str, *, fips: bool) -> EndpointService:
    row = for_service(word, fips=fips)
    if row is None and fips and for_service(word) is not None:
        raise FipsUnavailableError(
            f"FIPS is asked for, but AWS offers no FIPS endpoint service for {word}.",
            remedy="turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may, or leave "
            f"{word} out of services.",
        )
    if row is None:
        raise _unknown(word)
    return row


def _unknown(word: str) -> ConfigurationError:
    known = (*routable_service_names(), *_BROWSER, *(row.service_name for row in OTHER_SERVICES))
    likely = difflib.get_close_matches(word, known, 1)
    return ConfigurationError(
        f"services names {word!r}, for which no endpoint service is known.",
        remedy=(
            *(f"did you mean {one!r}?" for one in likely),
            f"name one of {', '.join(known)}, or the full name of an endpoint service.",
        ),
    )
