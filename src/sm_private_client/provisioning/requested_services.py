"""From the word that a service is asked for with to the endpoint service that EC2 knows."""

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

__all__ = ["RequestedService", "services_wanted"]

_INTERFACE_SUFFIX: Final = "-interface"
"""``s3`` is the gateway, ``s3-interface`` the interface VPC endpoint."""

_BROWSER: Final = {row.name_suffix: row for row in CATALOGUE if row.is_browser_only}


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestedService:
    """One service that is to get a VPC endpoint.

    Attributes:
        service: The word it was asked for with.
        names: The names that its endpoint service may have; EC2 knows one of them.
        kind: ``Interface`` or ``Gateway``.
        service_name: boto3's name of the service; empty where no client calls it.
        row: Its row in the family's catalogue, ``None`` for others.
    """

    service: str
    names: tuple[str, ...]
    kind: Kind = "Interface"
    service_name: str = ""
    row: EndpointService | None = None


def services_wanted(
    services: Iterable[str], *, region: str, partition: Partition, fips: bool
) -> tuple[RequestedService, ...]:
    """Finds what is meant by each word.

    Args:
        services: boto3's names (of the SageMaker family and the other services), ``notebook``,
            ``studio``, ``s3-interface``, ``dynamodb-interface``, or full names of endpoint
            services.
        region: The region.
        partition: Its partition.
        fips: Whether the family's FIPS endpoint services are meant.

    Raises:
        ConfigurationError: A word is not known, is there twice, or there is none.
        FipsUnavailableError: A service of the family has no FIPS endpoint service.
    """
    if isinstance(services, str):
        services = (services,)
    wanted = tuple(
        _requested(word, region=region, partition=partition, fips=fips) for word in services
    )
    if not wanted:
        raise ConfigurationError(
            "services is empty, so there is nothing to plan.",
            remedy="name at least one, such as services=('sagemaker', 'sagemaker-runtime').",
        )
    seen: dict[tuple[str, ...], str] = {}
    for one in wanted:
        if (key := (*one.names, one.kind)) in seen:
            raise ConfigurationError(
                f"services names {seen[key]!r} and {one.service!r}, which are the same.",
                remedy="name it once.",
            )
        seen[key] = one.service
    return wanted


def _requested(word: str, *, region: str, partition: Partition, fips: bool) -> RequestedService:
    if word.count(".") > 1:  # a full name, such as com.amazonaws.us-east-1.ecr.dkr
        row = by_endpoint_service_name(word)
        name = row.service_name if row is not None else None
        return RequestedService(service=word, names=(word,), service_name=name or "", row=row)
    if word in _BROWSER:
        row = _BROWSER[word]
        name = endpoint_service_name(row, region=region, partition=partition)
        return RequestedService(service=word, names=(name,), row=row)
    canonical = canonical_service_name(word)
    if is_family(canonical):
        return _of_family(canonical, region=region, partition=partition, fips=fips)
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


def _of_family(word: str, *, region: str, partition: Partition, fips: bool) -> RequestedService:
    row = for_service(word, fips=fips)
    if row is None and fips and for_service(word) is not None:
        raise FipsUnavailableError(
            f"FIPS is asked for, but AWS offers no FIPS endpoint service for {word}.",
            remedy="turn FIPS off (use_fips_endpoint, AWS_USE_FIPS_ENDPOINT) if you may, or leave "
            f"{word} out of services.",
        )
    if row is None:
        raise _unknown(word)
    name = endpoint_service_name(row, region=region, partition=partition)
    return RequestedService(service=word, names=(name,), service_name=word, row=row)


def _unknown(word: str) -> ConfigurationError:
    known = (*routable_service_names(), *_BROWSER, *(row.service_name for row in OTHER_SERVICES))
    meant = difflib.get_close_matches(word, known, 1)
    return ConfigurationError(
        f"services names {word!r}, for which no endpoint service is known.",
        remedy=(
            *((f"did you mean {meant[0]!r}?",) if meant else ()),
            f"name one of {', '.join(known)}, or the full name of an endpoint service.",
        ),
    )
