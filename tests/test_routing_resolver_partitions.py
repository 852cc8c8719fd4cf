"""Specification of routing in every partition: names, and calls end to end where moto plays EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import botocore.session
import pytest

from as_read import as_read
from sm_private_client.errors import ConfigurationError, NoPrivateRouteError, PublicAddressError
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.testing import LocalPrivateLink

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = {
    "us-east-1": ("aws", "com.amazonaws", "amazonaws.com"),
    "cn-north-1": ("aws-cn", "cn.com.amazonaws", "amazonaws.com.cn"),
    "us-gov-west-1": ("aws-us-gov", "com.amazonaws", "amazonaws.com"),
    "us-iso-east-1": ("aws-iso", "gov.ic.c2s", "c2s.ic.gov"),
    "us-isob-east-1": ("aws-iso-b", "gov.sgov.sc2s", "sc2s.sgov.gov"),
    "eu-isoe-west-1": ("aws-iso-e", "uk.adc-e.cloud", "cloud.adc-e.uk"),
    "us-isof-south-1": ("aws-iso-f", "gov.ic.hci.csp", "csp.hci.ic.gov"),
    "eusc-de-east-1": ("aws-eusc", "eu.amazonaws", "amazonaws.eu"),
}


@as_read
def test_the_table_has_every_partition() -> None:
    """Every partition that botocore knows is in the table above."""
    known = {p.name: p.dns_suffix for p in partitions(botocore.session.Session())}
    assert {name: suffix for name, _, suffix in PARTITIONS.values()} == known


@pytest.fixture(scope="module")
def link() -> Iterator[LocalPrivateLink]:
    with LocalPrivateLink(services=()) as running:
        yield running


SERVICES = {
    "sagemaker": ("sagemaker.api", "api.sagemaker"),
    "sagemaker-runtime": ("sagemaker.runtime", "runtime.sagemaker"),
    "sagemaker-featurestore-runtime": (
        "sagemaker.featurestore-runtime",
        "featurestore-runtime.sagemaker",
    ),
    "sagemaker-metrics": ("sagemaker.metrics", "metrics.sagemaker"),
}


@pytest.mark.parametrize("region", PARTITIONS)
def test_names_of_the_partition(link: LocalPrivateLink, region: str) -> None:
    """The label order flips: service name sagemaker.api, DNS label api.sagemaker."""
    partition, prefix, dns_suffix = PARTITIONS[region]
    label = "vpce-0fe5b17a0707d6abc-29p5708s"
    named = link.session(vpc_endpoint=dict.fromkeys(SERVICES, label), region_name=region)
    bare = link.session(region_name=region)
    for service, (name_suffix, dns_label) in SERVICES.items():
        default = f"{dns_label}.{region}.{dns_suffix}"
        host = f"{label}.{dns_label}.{region}.vpce.{dns_suffix}"
        with pytest.raises(NoPrivateRouteError) as caught:
            bare.route(service)
        assert f"endpoint of {prefix}.{region}.{name_suffix} in this VPC" in str(caught.value)
        bare.forget_routes()
        with link.faults.dns(host, "10.0.0.10"), link.faults.dns(default, "10.0.0.11"):
            by_name, by_default = named.route(service), bare.route(service)
        assert (by_name.host, by_name.partition, by_name.region) == (host, partition, region)
        assert (by_default.host, by_default.source) == (default, "private-dns")


@pytest.mark.parametrize("private_dns", [False, True])
@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_calls_go_end_to_end(region: str, *, private_dns: bool) -> None:
    """In China and GovCloud, too, both services are found, called over TLS and signed right."""
    partition, _, dns_suffix = PARTITIONS[region]
    with LocalPrivateLink(region=region, private_dns=private_dns) as link:
        link.deploy("churn", lambda body, _content_type: body)
        session = link.session()
        runtime, api = session.client("sagemaker-runtime"), session.client("sagemaker")
        answer = runtime.invoke_endpoint(EndpointName="churn", Body=b"1,2,3")
        assert answer["Body"].read() == b"1,2,3"
        listed = api.list_endpoints()["Endpoints"]
        assert [e["EndpointName"] for e in listed] == ["churn"]
        assert f"arn:{partition}:" in listed[0]["EndpointArn"]
        for request in link.requests:
            assert (request.signing_region, request.signing_service) == (region, "sagemaker")
            assert request.host.endswith(f".{dns_suffix}")
            assert request.host.startswith("vpce-") is not private_dns
        asked = link.calls["ec2:DescribeVpcEndpoints"]
        assert asked == (0 if private_dns else 1)
        assert (link.internet.connections, link.internet.bytes_received) == (0, 0)


@pytest.mark.parametrize(
    "region", ["moon-east-1", "us-east-1-fips", "fips-us-east-1", "us-east-1.", "x y"]
)
def test_what_is_no_region_is_an_error(link: LocalPrivateLink, region: str) -> None:
    """A region of no partition is an error, not a host name made of it."""
    with pytest.raises(ConfigurationError) as caught:
        link.session().route("sagemaker", region)
    assert str(caught.value) == (
        f"{region!r} is not a region of any AWS partition.\n"
        "Possible causes: a typing error; a botocore older than the region.\n"
        "Remedy: set region_name= or AWS_DEFAULT_REGION to a region such as us-east-1.\n"
        "See docs/errors.md#configuration"
    )


@pytest.mark.parametrize("service", ["sagemaker-runtime", "s3", "sqs"])
@pytest.mark.parametrize("is_configured", [False, True])
def test_a_url_needs_no_partition(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch, service: str, *, is_configured: bool
) -> None:
    """If a URL is given, a region of no partition is one of ``aws``, as for botocore's rules."""
    url = "https://vpce.example.com"
    if is_configured:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    route = link.session(sealed=True).route(
        service, "fake-region-10", endpoint_url=None if is_configured else url
    )
    assert (route.endpoint_url, route.region, route.partition) == (url, "fake-region-10", "aws")
    assert route.source == ("configured" if is_configured else "explicit")


def test_the_guard_judges_a_url_of_a_region_of_no_partition(link: LocalPrivateLink) -> None:
    """Nothing goes to its public address."""
    url = "https://runtime.example.com"
    client = link.session(region_name="fake-region-10").client(
        "sagemaker-runtime", endpoint_url=url
    )
    with link.faults.dns("runtime.example.com", "8.8.8.8"), pytest.raises(PublicAddressError):
        client.invoke_endpoint(EndpointName="churn", Body=b"1")


def test_a_vpc_endpoint_needs_its_partition(
    link: LocalPrivateLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host has the region in it, so that a configured URL behind it helps no further."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce.example.com")
    session = link.session(vpc_endpoint="vpce-0fe5b17a0707d6abc", region_name="fake-region-10")
    with pytest.raises(ConfigurationError, match="is not a region of any AWS partition"):
        session.route("sagemaker")
