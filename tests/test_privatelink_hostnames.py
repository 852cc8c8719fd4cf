"""DNS names of VPC endpoints and names of endpoint services, in every partition."""

from __future__ import annotations

import re

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.hostnames import (
    Partition,
    VpceName,
    endpoint_service_name,
    is_vpc_endpoint_id,
    parse_vpce_name,
    partition_of,
    split_vpc_endpoint_label,
)
from sm_private_client.privatelink.services import CATALOGUE, EndpointService, for_service
from sm_private_client.routing.botocore_rules import partitions

PARTITIONS = partitions(botocore.session.Session())
BY_NAME = {p.name: p for p in PARTITIONS}
PLACES = sorted((p.name, region) for p in PARTITIONS for region in p.regions)
LONG, SHORT, SUFFIX = "vpce-0fe5b17a0707d6abc", "vpce-0fe5b17a", "29p5708s"


def row(service_name: str, *, fips: bool = False) -> EndpointService:
    found = for_service(service_name, fips=fips)
    assert found is not None
    return found


RUNTIME = row("sagemaker-runtime")
NOTEBOOK = next(r for r in CATALOGUE if r.name_suffix == "notebook")


@st.composite
def vpce_names(draw: st.DrawFn) -> VpceName:
    """Any name of any catalogue row in any partition, region and zone."""
    partition, region = draw(st.sampled_from(PLACES))
    service = draw(st.sampled_from(CATALOGUE))
    digits = draw(st.sampled_from([8, 17]))
    hexadecimal = st.text("0123456789abcdef", min_size=digits, max_size=digits)
    suffix = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=8)
    letter = draw(st.sampled_from("abcdef"))
    local = st.builds(
        "-{}-{}".format, st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3), st.just(1)
    )
    zone = f"{region}{draw(st.one_of(st.just(''), local))}{letter}"
    return VpceName(
        vpc_endpoint_id=f"vpce-{draw(hexadecimal)}",
        id_suffix=draw(st.one_of(st.just(""), suffix)),
        availability_zone=draw(st.sampled_from([None, zone])),
        service=service,
        region=region,
        partition=BY_NAME[partition],
    )


@given(vpce_names(), st.booleans(), st.booleans())
@example(
    VpceName(
        vpc_endpoint_id=LONG,
        id_suffix=SUFFIX,
        availability_zone="us-west-2-lax-1a",
        service=RUNTIME,
        region="us-west-2",
        partition=BY_NAME["aws"],
    ),
    True,
    True,
)
def test_parse_and_build_are_inverse(name: VpceName, upper: bool, dot: bool) -> None:
    """Every name that is built parses into the same parts, in any case, with or without a dot."""
    host = name.host.upper() if upper else name.host
    assert parse_vpce_name(f"{host}." if dot else host, PARTITIONS) == name


@given(vpce_names(), st.text(max_size=3))
def test_trailing_and_leading_garbage_is_refused_or_part_of_the_name(
    name: VpceName, garbage: str
) -> None:
    """What parses is exactly the name that its parts build; no character is passed over."""
    for text in (f"{name.host}{garbage}", f"{garbage}{name.host}"):
        found = parse_vpce_name(text, PARTITIONS)
        assert found is None or text.lower() in (found.host, f"{found.host}.")


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    """Any text parses to ``None`` or to a name that builds it again; nothing raises."""
    found = parse_vpce_name(text, PARTITIONS)
    assert found is None or found.host == text.lower().removesuffix(".")


@given(vpce_names())
def test_zonal_and_regional_names_of_one_vpc_endpoint(name: VpceName) -> None:
    """``in_zone`` changes the zone and nothing else."""
    zone = f"{name.region}a"
    zonal = name.in_zone(zone)
    assert zonal.availability_zone == zone
    assert f"-{zone}.{name.service.dns_label}." in zonal.host
    assert zonal.in_zone(name.availability_zone) == name


@pytest.mark.parametrize(
    ("partition", "region", "domain"),
    [
        ("aws", "us-east-1", "amazonaws.com"),
        ("aws", "eu-central-2", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-cn", "cn-northwest-1", "amazonaws.com.cn"),
        ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
        ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
        ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
        ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
        ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_names_in_each_partition(partition: str, region: str, domain: str) -> None:
    """Regional, zonal and placeholder names end in the partition's DNS suffix."""
    regional = VpceName(
        vpc_endpoint_id=LONG,
        id_suffix=SUFFIX,
        service=RUNTIME,
        region=region,
        partition=partition_of(region, PARTITIONS),
    )
    assert regional.partition.name == partition
    tail = f"runtime.sagemaker.{region}.vpce.{domain}"
    assert regional.host == f"{LONG}-{SUFFIX}.{tail}"
    assert regional.in_zone(f"{region}b").host == f"{LONG}-{SUFFIX}-{region}b.{tail}"
    placeholder = parse_vpce_name(f"{LONG}.{tail}", PARTITIONS)
    assert placeholder is not None
    assert (placeholder.id_suffix, placeholder.availability_zone) == ("", None)


@pytest.mark.parametrize(
    ("service", "host"),
    [
        (row("sagemaker"), "api.sagemaker.us-west-2.vpce.amazonaws.com"),
        (RUNTIME, "runtime.sagemaker.us-west-2.vpce.amazonaws.com"),
        (
            row("sagemaker-featurestore-runtime"),
            "featurestore-runtime.sagemaker.us-west-2.vpce.amazonaws.com",
        ),
        (row("sagemaker-metrics"), "metrics.sagemaker.us-west-2.vpce.amazonaws.com"),
        (row("sagemaker-geospatial"), "sagemaker-geospatial.us-west-2.vpce.amazonaws.com"),
        (
            row("sagemaker-runtime", fips=True),
            "runtime-fips.sagemaker.us-west-2.vpce.amazonaws.com",
        ),
        (NOTEBOOK, "notebook.us-west-2.vpce.sagemaker.aws"),
    ],
    ids=lambda value: value.title if isinstance(value, EndpointService) else "",
)
def test_names_of_each_service(service: EndpointService, host: str) -> None:
    """Each endpoint service's names have its own labels; browser names end in sagemaker.aws."""
    name = parse_vpce_name(f"{SHORT}-{SUFFIX}.{host}", PARTITIONS)
    assert name is not None
    assert name.service is service
    assert (name.vpc_endpoint_id, name.id_suffix) == (SHORT, SUFFIX)


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-east-1a", "us-east-1"),
        ("us-gov-west-1c", "us-gov-west-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-east-1-bos-1a", "us-east-1"),
        ("ap-southeast-2-per-1a", "ap-southeast-2"),
    ],
)
def test_zones_incl_local_ones(zone: str, region: str) -> None:
    """A zonal name tells the zone's name, that of a local zone included."""
    tail = f"api.sagemaker.{region}.vpce.amazonaws.com"
    for label in (f"{LONG}-{SUFFIX}", LONG):
        name = parse_vpce_name(f"{label}-{zone}.{tail}", PARTITIONS)
        assert name is not None
        assert (name.availability_zone, name.region) == (zone, region)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "runtime.sagemaker.us-east-1.amazonaws.com",  # the default host
        "api.sagemaker.us-east-1.api.aws",
        f"{LONG}-{SUFFIX}.sagemaker.runtime.us-east-1.vpce.amazonaws.com",  # label order
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.amazonaws.com",  # no vpce
        f"{LONG}-{SUFFIX}.ec2.us-east-1.vpce.amazonaws.com",  # another service
        f"{LONG}-{SUFFIX}.notebook.us-east-1.vpce.amazonaws.com",  # a browser name elsewhere
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.sagemaker.aws",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com.evil.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.comx",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com..",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com\n",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1\n.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-\u00e9ast-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.noteboo\u212a.us-east-1.vpce.sagemaker.aws",  # Kelvin; lower case is k
        f" {LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"https://{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"x.{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"x{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com.cn",  # suffix, region
        f"{LONG}-{SUFFIX}.runtime.sagemaker.cn-north-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-iso-east-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.c2s.ic.gov",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.mars-east-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}.runtime.sagemaker.vpce.amazonaws.com",  # no region
        f"{LONG}-{SUFFIX}-us-west-2a.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}-us-east-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"{LONG}-{SUFFIX}-us-east-1A1.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"{LONG}-29p570.runtime.sagemaker.us-east-1.vpce.amazonaws.com",  # short suffix
        f"{LONG}-29p5708sx.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"{LONG}-.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
        f"vpce-0fe5b17-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",  # 7 digits
        f"vpce-0fe5b17a0-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",  # 9
        f"vpce-0fe5b17g-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",  # no hex
        f"vpc-0fe5b17a-{SUFFIX}.runtime.sagemaker.us-east-1.vpce.amazonaws.com",
    ],
)
def test_what_is_no_vpce_name(host: str) -> None:
    """Anything but the name of a SageMaker VPC endpoint gives ``None``."""
    assert parse_vpce_name(host, PARTITIONS) is None


@pytest.mark.parametrize(
    ("region", "service_name", "fips", "name"),
    [
        ("us-east-1", "sagemaker", False, "com.amazonaws.us-east-1.sagemaker.api"),
        ("us-east-1", "sagemaker", True, "com.amazonaws.us-east-1.sagemaker.api-fips"),
        ("us-east-1", "sagemaker-runtime", True, "com.amazonaws.us-east-1.sagemaker.runtime-fips"),
        (
            "us-west-2",
            "sagemaker-geospatial",
            False,
            "com.amazonaws.us-west-2.sagemaker-geospatial",
        ),
        ("us-gov-west-1", "sagemaker", False, "com.amazonaws.us-gov-west-1.sagemaker.api"),
        ("cn-north-1", "sagemaker", False, "cn.com.amazonaws.cn-north-1.sagemaker.api"),
        ("us-iso-east-1", "sagemaker-runtime", False, "gov.ic.c2s.us-iso-east-1.sagemaker.runtime"),
        ("us-isob-east-1", "sagemaker", False, "gov.sgov.sc2s.us-isob-east-1.sagemaker.api"),
    ],
)
def test_endpoint_service_names(region: str, service_name: str, fips: bool, name: str) -> None:
    """The names that EC2 knows begin with the partition's DNS suffix, reversed."""
    partition = partition_of(region, PARTITIONS)
    service = row(service_name, fips=fips)
    assert endpoint_service_name(service, region=region, partition=partition) == name


def test_browser_services_are_named_otherwise() -> None:
    """Browser-only services begin with aws.sagemaker in every partition."""
    named = [
        endpoint_service_name(r, region="us-east-1", partition=BY_NAME["aws"])
        for r in CATALOGUE
        if r.is_browser_only
    ]
    assert named == [
        "aws.sagemaker.us-east-1.notebook",
        "aws.sagemaker.us-east-1.studio",
        "aws.sagemaker.us-east-1.experiments",
        "aws.sagemaker.us-east-1.partner-app",
    ]


def test_unverified_partitions_are_marked() -> None:
    """Where no source states the names of endpoint services, the partition says so."""
    unverified = {p.name for p in PARTITIONS if not p.names_verified}
    assert unverified == set(BY_NAME) - {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b"}


@pytest.mark.parametrize(("partition", "region"), PLACES)
def test_listed_regions_have_their_partition(partition: str, region: str) -> None:
    """Every region that botocore lists is found in the partition that lists it."""
    assert partition_of(region, PARTITIONS).name == partition


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-nowhere-7", "aws"),
        ("us-gov-nowhere-1", "aws-us-gov"),
        ("cn-west-3", "aws-cn"),
        ("us-isob-west-9", "aws-iso-b"),
    ],
)
def test_new_regions_are_recognized_by_their_form(region: str, partition: str) -> None:
    """A region that botocore does not list yet is recognized by its form."""
    assert partition_of(region, PARTITIONS).name == partition


@pytest.mark.parametrize(
    "region",
    [
        "",
        "us",
        "us-east",
        "US-EAST-1",
        "us-east-1a",
        "us-east-1\n",
        "us-\u00e9ast-1",
        "mars-east-1",
    ],
)
def test_no_region(region: str) -> None:
    """What is no region of any partition is refused."""
    text = (
        f"{region!r} is not a region of any AWS partition.\n"
        "Possible causes: a typing error; a botocore older than the region.\n"
        "Remedy: set region_name= or AWS_DEFAULT_REGION to a region such as us-east-1.\n"
        "See docs/errors.md#configuration"
    )
    with pytest.raises(ConfigurationError, match=rf"\A{re.escape(text)}\Z"):
        partition_of(region, PARTITIONS)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("mars-east-1", "aws"),
        ("us-east-1a", "aws"),
        ("cn-west-3", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
    ],
)
def test_a_region_of_no_partition_can_be_in_aws(region: str, partition: str) -> None:
    """If asked to, as in botocore's endpoint rules; one of a partition stays in it."""
    for listed in (PARTITIONS, PARTITIONS[::-1]):
        assert partition_of(region, listed, falls_back=True).name == partition


def test_a_listed_region_comes_before_a_form() -> None:
    """The partition that lists a region by name has it, whatever another's form says."""
    greedy = Partition(name="greedy", dns_suffix="x.com", region_regex=r"^.*$")
    exact = Partition(
        name="exact", dns_suffix="y.com", region_regex=r"^$", regions=frozenset({"us-east-1"})
    )
    assert partition_of("us-east-1", [greedy, exact]) is exact
    assert partition_of("us-east-2", [greedy, exact]) is greedy


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (LONG, (LONG, "")),
        (SHORT, (SHORT, "")),
        (f"{LONG}-{SUFFIX}", (LONG, SUFFIX)),
        (f"{SHORT}-{SUFFIX}", (SHORT, SUFFIX)),
        ("vpce-svc-0fe5b17a0707d6abc", None),  # an endpoint service's id
        ("vpc-0fe5b17a", None),
        ("vpce-0FE5B17A", None),
        ("vpce-0fe5b17", None),
        ("vpce-0fe5b17a0", None),
        (f"{LONG}\n", None),
        (f"{LONG}-{SUFFIX}\n", None),
        (f"{LONG}-{SUFFIX}-us-east-1a", None),
        (f"{LONG}-", None),
        (f" {LONG}", None),
        ("", None),
    ],
)
def test_ids_and_labels(text: str, parts: tuple[str, str] | None) -> None:
    """An id is vpce- and 8 or 17 hex digits; a label is one with eight more characters."""
    assert split_vpc_endpoint_label(text) == parts
    assert is_vpc_endpoint_id(text) is (parts is not None and parts[1] == "")
