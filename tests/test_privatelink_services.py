"""The catalogue: what AWS offers through PrivateLink for SageMaker."""

from __future__ import annotations

import re
from typing import NamedTuple

import botocore.session
import pytest
from botocore.handlers import SERVICE_NAME_ALIASES

from as_read import as_read
from sm_private_client.errors import ConfigurationError
from sm_private_client.privatelink.services import (
    CATALOGUE,
    UNROUTABLE,
    by_dns_label,
    by_endpoint_service_name,
    canonical_service_name,
    for_service,
    is_family,
    routable_service_names,
)


class Row(NamedTuple):
    """One row of AWS's documentation."""

    service_name: str | None
    fips: bool
    name_suffix: str
    dns_label: str
    dns_verified: bool
    endpoint_policy: bool | None
    title: str


FACTS = (
    Row("sagemaker", False, "sagemaker.api", "api.sagemaker", True, True, "sagemaker"),
    Row(
        "sagemaker-runtime",
        False,
        "sagemaker.runtime",
        "runtime.sagemaker",
        True,
        True,
        "sagemaker-runtime",
    ),
    Row(
        "sagemaker-featurestore-runtime",
        False,
        "sagemaker.featurestore-runtime",
        "featurestore-runtime.sagemaker",
        True,
        True,
        "sagemaker-featurestore-runtime",
    ),
    Row(
        "sagemaker-metrics",
        False,
        "sagemaker.metrics",
        "metrics.sagemaker",
        True,
        True,
        "sagemaker-metrics",
    ),
    Row(
        "sagemaker-geospatial",
        False,
        "sagemaker-geospatial",
        "sagemaker-geospatial",
        True,
        False,
        "sagemaker-geospatial",
    ),
    Row(
        "sagemaker",
        True,
        "sagemaker.api-fips",
        "api-fips.sagemaker",
        False,
        None,
        "sagemaker (FIPS)",
    ),
    Row(
        "sagemaker-runtime",
        True,
        "sagemaker.runtime-fips",
        "runtime-fips.sagemaker",
        True,
        False,
        "sagemaker-runtime (FIPS)",
    ),
    Row(
        "sagemaker-featurestore-runtime",
        True,
        "sagemaker.featurestore-runtime-fips",
        "featurestore-runtime-fips.sagemaker",
        False,
        None,
        "sagemaker-featurestore-runtime (FIPS)",
    ),
    Row(None, False, "notebook", "notebook", True, True, "notebook (browser)"),
    Row(None, False, "studio", "studio", True, True, "studio (browser)"),
    Row(None, False, "experiments", "experiments", False, None, "experiments (browser)"),
    Row(None, False, "partner-app", "partner-app", False, None, "partner-app (browser)"),
)


def test_the_catalogue_is_what_aws_documents() -> None:
    """The catalogue has these rows and no others."""
    made = tuple(
        Row(
            row.service_name,
            row.fips,
            row.name_suffix,
            row.dns_label,
            row.dns_verified,
            row.endpoint_policy,
            row.title,
        )
        for row in CATALOGUE
    )
    assert made == FACTS
    assert all(row.source for row in CATALOGUE)


def test_only_geospatial_is_bound_to_a_region() -> None:
    """sagemaker-geospatial exists in us-west-2 only; for the others no such limit is known."""
    bound = {row.title: row.regions for row in CATALOGUE if row.regions is not None}
    assert bound == {"sagemaker-geospatial": frozenset({"us-west-2"})}


def test_the_label_order_flips() -> None:
    """The service name ends in sagemaker.api, the DNS label is api.sagemaker."""
    for row in CATALOGUE:
        flipped = ".".join(reversed(row.name_suffix.split(".")))
        assert row.dns_label == flipped


def test_browser_only_rows_have_no_client() -> None:
    """Notebook, Studio, experiments and partner apps are known, and no client calls them."""
    browser = [row.name_suffix for row in CATALOGUE if row.is_browser_only]
    assert browser == ["notebook", "studio", "experiments", "partner-app"]
    assert not {row.service_name for row in CATALOGUE if row.is_browser_only} - {None}


def test_routable_services_in_catalogue_order() -> None:
    """The family members that have an endpoint service, each once."""
    assert routable_service_names() == (
        "sagemaker",
        "sagemaker-runtime",
        "sagemaker-featurestore-runtime",
        "sagemaker-metrics",
        "sagemaker-geospatial",
    )


@as_read
def test_every_member_of_botocore_s_family_is_named() -> None:
    """Errors say why such a one has no route; what nobody names yet is refused as they are."""
    every = botocore.session.Session().get_available_services()
    family = {name for name in every if "sagemaker" in name}
    assert family - {*routable_service_names(), *UNROUTABLE} == set()


def test_members_without_endpoint_service() -> None:
    """Members of the family, and none that the catalogue has."""
    assert UNROUTABLE
    assert not set(routable_service_names()) & UNROUTABLE
    assert all(is_family(name) for name in UNROUTABLE)


def test_other_services_of_botocore_are_not_of_the_family() -> None:
    """No service without sagemaker in its name counts as one of the family."""
    every = botocore.session.Session().get_available_services()
    assert not [name for name in every if "sagemaker" not in name and is_family(name)]


@as_read
def test_every_alias_of_botocore_s_is_known() -> None:
    """Aliases that botocore has for family members lead to the same name here."""
    for alias, name in SERVICE_NAME_ALIASES.items():
        expected = name if "sagemaker" in name else alias
        assert canonical_service_name(alias) == expected


@pytest.mark.parametrize(
    ("given", "canonical", "of_family"),
    [
        ("sagemaker", "sagemaker", True),
        ("runtime.sagemaker", "sagemaker-runtime", True),
        ("sagemaker-runtime", "sagemaker-runtime", True),
        ("sagemaker-of-tomorrow", "sagemaker-of-tomorrow", True),
        ("sagemakeroftomorrow", "sagemakeroftomorrow", True),
        ("sagemakerjobruntime", "sagemakerjobruntime", True),
        ("s3", "s3", False),
        ("api.sagemaker", "api.sagemaker", False),
        ("SageMaker", "SageMaker", False),  # boto3 knows no such service either
        ("", "", False),
    ],
)
def test_family(given: str, canonical: str, of_family: bool) -> None:
    """Any name that begins with sagemaker counts: a later client is not sent out publicly."""
    assert canonical_service_name(given) == canonical
    assert is_family(given) is of_family


@pytest.mark.parametrize("row", FACTS, ids=lambda row: row.name_suffix)
def test_rows_are_found_by_each_of_their_names(row: Row) -> None:
    """A row is found by service, by DNS label and by the full name of its endpoint service."""
    browser = row.service_name is None
    found = by_dns_label(row.dns_label, browser=browser)
    assert found is not None
    assert found.name_suffix == row.name_suffix
    prefix = "aws.sagemaker.eu-west-1" if browser else "com.amazonaws.eu-west-1"
    assert by_endpoint_service_name(f"{prefix}.{row.name_suffix}") is found
    if row.service_name is not None:
        assert for_service(row.service_name, fips=row.fips) is found


@pytest.mark.parametrize(
    "service_name", ["sagemaker-metrics", "sagemaker-geospatial", *sorted(UNROUTABLE)]
)
def test_no_fips_row(service_name: str) -> None:
    """Services without a FIPS endpoint service have no FIPS row."""
    assert for_service(service_name, fips=True) is None


@pytest.mark.parametrize("service_name", sorted(UNROUTABLE))
def test_no_row_for_what_has_no_endpoint_service(service_name: str) -> None:
    """Family members without endpoint service are known as such."""
    assert for_service(service_name) is None


def test_the_alias_has_the_row_of_its_service() -> None:
    """runtime.sagemaker is sagemaker-runtime, FIPS included."""
    assert for_service("runtime.sagemaker") is for_service("sagemaker-runtime", fips=False)
    assert for_service("runtime.sagemaker", fips=True) is for_service(
        "sagemaker-runtime", fips=True
    )


@pytest.mark.parametrize("service_name", ["s3", "ec2", "notebook", "", "api.sagemaker"])
def test_strangers_are_refused(service_name: str) -> None:
    """A service outside the family cannot be asked for."""
    text = (
        f"{service_name!r} is not a service of the SageMaker family.\n"
        "Cause: only that family is routed; other services are boto3's own.\n"
        "Remedy: name one of sagemaker, sagemaker-runtime, sagemaker-featurestore-runtime, "
        "sagemaker-metrics, sagemaker-geospatial.\n"
        "See docs/errors.md#configuration"
    )
    with pytest.raises(ConfigurationError, match=f"^{re.escape(text)}$"):
        for_service(service_name)


@pytest.mark.parametrize(
    ("label", "browser"),
    [
        ("sagemaker.api", False),  # the order of the service name
        ("sagemaker.runtime", False),
        ("runtime", False),
        ("notebook", False),
        ("api.sagemaker", True),
        ("ec2", False),
        ("", False),
    ],
)
def test_labels_of_no_row(label: str, browser: bool) -> None:
    """What is not a DNS label of the family belongs to no row."""
    assert by_dns_label(label, browser=browser) is None


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("cn.com.amazonaws.cn-north-1.sagemaker.runtime", "sagemaker.runtime"),
        ("gov.ic.c2s.us-iso-east-1.sagemaker.api", "sagemaker.api"),
        ("com.amazonaws.us-gov-west-1.sagemaker.api-fips", "sagemaker.api-fips"),
        ("com.amazonaws.us-east-1.ec2", None),
        ("com.amazonaws.us-east-1.api.sagemaker", None),
        ("com.amazonaws.us-east-1.sagemaker", None),
        ("com.amazonaws.us-east-1.notsagemaker.api", None),
        ("com.amazonaws.us-east-1.sagemaker.api-fipsy", None),
        ("com.amazonaws.us-east-1.notebook", None),
        ("aws.sagemaker.us-east-1.api", None),
        ("aws.sagemaker.us-east-1.canvas", None),
        ("", None),
    ],
)
def test_endpoint_service_names(name: str, suffix: str | None) -> None:
    """Full names of endpoint services lead to their row, others to none."""
    found = by_endpoint_service_name(name)
    assert (found and found.name_suffix) == suffix


def test_records_are_frozen() -> None:
    """The catalogue is data that nobody can change."""
    assert isinstance(CATALOGUE, tuple)
    assert isinstance(UNROUTABLE, frozenset)
    with pytest.raises(AttributeError):
        CATALOGUE[0].fips = True  # type: ignore[misc] # that it cannot be set is what is tested
