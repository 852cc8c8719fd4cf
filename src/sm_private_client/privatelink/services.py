"""The catalogue of endpoint services of the SageMaker family: one table, data not code.

Sources: PLG = AWS PrivateLink guide, "AWS services that integrate with AWS PrivateLink";
SMV = SageMaker developer guide, "Connect to SageMaker AI within your VPC";
CDK = aws/aws-cdk ``vpc-endpoint.ts``; VPCB = aws-samples/aws-vpc-builder-cdk, raw
DescribeVpcEndpointServices output. ``dns_verified=False`` marks a DNS label that no source
states: it is used only after DNS has answered for it, or as EC2 itself shows it.

The label order flips: the service name ends in ``sagemaker.api``, the DNS label is
``api.sagemaker``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sm_private_client.errors import ConfigurationError

__all__ = [
    "CATALOGUE",
    "UNROUTABLE",
    "EndpointService",
    "by_dns_label",
    "by_endpoint_service_name",
    "canonical_service_name",
    "for_service",
    "is_family",
    "routable_service_names",
]

BROWSER_DNS_DOMAIN: Final = "sagemaker.aws"


class EndpointService(NamedTuple):
    """One service that AWS offers through PrivateLink.

    Attributes:
        service_name: boto3's name of the service; ``None`` for a service that only browsers use.
        name_suffix: The end of the endpoint service name, after the region.
        source: Where the row comes from.
        fips: Whether this is the FIPS variant.
        endpoint_policy: Whether endpoint policies are supported; ``None``: not documented.
        dns_verified: Whether a source states ``dns_label``.
        regions: The only regions that have it; ``None``: no such limit is known.
    """

    service_name: str | None
    name_suffix: str
    source: str
    fips: bool = False
    endpoint_policy: bool | None = True
    dns_verified: bool = True
    regions: frozenset[str] | None = None

    @property
    def dns_label(self) -> str:
        """The labels between the endpoint's own label and the region: ``api.sagemaker``."""
        return ".".join(reversed(self.name_suffix.split(".")))

    @property
    def is_browser_only(self) -> bool:
        """Whether no AWS client calls it: notebook, studio, experiments, partner apps."""
        return self.service_name is None

    @property
    def title(self) -> str:
        """The name for people: ``sagemaker-runtime (FIPS)``, ``notebook (browser)``."""
        if self.service_name is None:
            return f"{self.name_suffix} (browser)"
        return f"{self.service_name} (FIPS)" if self.fips else self.service_name


_FEATURE_STORE: Final = "sagemaker-featurestore-runtime"
_NOT_DOCUMENTED: Final = None

CATALOGUE: Final[tuple[EndpointService, ...]] = (
    EndpointService("sagemaker", "sagemaker.api", "PLG CDK VPCB"),
    EndpointService("sagemaker-runtime", "sagemaker.runtime", "PLG CDK VPCB"),
    EndpointService(_FEATURE_STORE, "sagemaker.featurestore-runtime", "PLG CDK VPCB"),
    EndpointService("sagemaker-metrics", "sagemaker.metrics", "PLG CDK VPCB"),
    EndpointService(
        "sagemaker-geospatial",
        "sagemaker-geospatial",
        "CDK VPCB",
        endpoint_policy=False,
        regions=frozenset({"us-west-2"}),
    ),
    EndpointService(
        "sagemaker",
        "sagemaker.api-fips",
        "PLG CDK",
        fips=True,
        endpoint_policy=_NOT_DOCUMENTED,
        dns_verified=False,
    ),
    EndpointService(
        "sagemaker-runtime",
        "sagemaker.runtime-fips",
        "PLG CDK VPCB; SMV: no endpoint policies on FIPS runtime endpoints",
        fips=True,
        endpoint_policy=False,
    ),
    EndpointService(
        _FEATURE_STORE,
        "sagemaker.featurestore-runtime-fips",
        "PLG",
        fips=True,
        endpoint_policy=_NOT_DOCUMENTED,
        dns_verified=False,
    ),
    EndpointService(None, "notebook", "PLG CDK VPCB"),
    EndpointService(None, "studio", "PLG CDK VPCB"),
    EndpointService(
        None, "experiments", "PLG CDK", endpoint_policy=_NOT_DOCUMENTED, dns_verified=False
    ),
    EndpointService(
        None, "partner-app", "PLG CDK", endpoint_policy=_NOT_DOCUMENTED, dns_verified=False
    ),
)

UNROUTABLE: Final[frozenset[str]] = frozenset(
    {
        "sagemaker-a2i-runtime",
        "sagemaker-edge",
        "sagemaker-gateway-runtime",  # a global gateway has an endpoint service of its own
        "sagemaker-inference-router-runtime",
        "sagemakerjobruntime",
        "sagemakertrainingsessionruntime",
    }
)
"""Members of the family for which no endpoint service was found (PLG, November 2026).

A member that neither this set nor the catalogue names, because a later botocore brought it, is
refused in the same way (``is_family``).
"""

_ALIASES: Final = {"runtime.sagemaker": "sagemaker-runtime"}  # botocore's own alias


def canonical_service_name(service_name: str) -> str:
    """Return boto3's own name of a service: its alias ``runtime.sagemaker`` is resolved."""
    return _ALIASES.get(service_name, service_name)


def is_family(service_name: str) -> bool:
    """Return True if a boto3 service name is one of SageMaker's, with or without a route.

    Any name that starts with ``sagemaker`` counts, so that a client that a later botocore
    brings is refused rather than sent out publicly.
    """
    return canonical_service_name(service_name).startswith("sagemaker")


def routable_service_names() -> tuple[str, ...]:
    """Return boto3's names of the services that have an endpoint service, in catalogue order."""
    names = (row.service_name for row in CATALOGUE if not row.fips)
    return tuple(name for name in names if name is not None)


def for_service(service_name: str, *, fips: bool = False) -> EndpointService | None:
    """Return the row of a boto3 service; ``None`` if it has no (FIPS) endpoint service.

    Raises:
        ConfigurationError: The name is not one of the SageMaker family.
    """
    canonical = canonical_service_name(service_name)
    if not is_family(canonical):
        raise ConfigurationError(
            f"{service_name!r} is not a service of the SageMaker family.",
            cause="only that family is routed; other services are boto3's own.",
            remedy=f"name one of {', '.join(routable_service_names())}.",
        )
    rows = (row for row in CATALOGUE if (row.service_name, row.fips) == (canonical, fips))
    return next(rows, None)


def by_dns_label(dns_label: str, *, browser: bool = False) -> EndpointService | None:
    """Return the row of a DNS label such as ``api.sagemaker``."""
    wanted = (dns_label, browser)
    return next((r for r in CATALOGUE if (r.dns_label, r.is_browser_only) == wanted), None)


def by_endpoint_service_name(name: str) -> EndpointService | None:
    """Return the row of a full endpoint service name such as ``com.amazonaws.R.sagemaker.api``."""
    if name.startswith("aws.sagemaker."):
        return by_dns_label(name.rpartition(".")[2], browser=True)
    rows = (r for r in CATALOGUE if not r.is_browser_only and name.endswith(f".{r.name_suffix}"))
    return max(rows, key=lambda row: len(row.name_suffix), default=None)
