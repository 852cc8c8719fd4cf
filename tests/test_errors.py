"""The tree of errors: shape, messages, references, pickling."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, HTTPClientError, NoRegionError

from sm_private_client import errors
from sm_private_client.errors import (
    AmbiguousVpcEndpointError,
    ConfigurationError,
    DiscoveryError,
    FipsUnavailableError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    MissingExtraError,
    MissingRegionError,
    NoPrivateRouteError,
    PayloadError,
    PolicyError,
    PrivateClientError,
    ProvisioningError,
    PublicAddressError,
    RoutingError,
    StreamError,
    StreamInterruptedError,
    VpcEndpointUnavailableError,
)
from sm_private_client.privatelink.records import Evidence, VpcEndpoint

TREE: dict[type[PrivateClientError], tuple[type[BaseException], ...]] = {
    PrivateClientError: (BotoCoreError,),
    ConfigurationError: (PrivateClientError, ValueError),
    MissingRegionError: (ConfigurationError, NoRegionError),
    RoutingError: (PrivateClientError,),
    NoPrivateRouteError: (RoutingError,),
    AmbiguousVpcEndpointError: (RoutingError,),
    VpcEndpointUnavailableError: (RoutingError,),
    FipsUnavailableError: (RoutingError,),
    DiscoveryError: (RoutingError,),
    PublicAddressError: (PrivateClientError,),
    StreamError: (PrivateClientError,),
    StreamInterruptedError: (StreamError,),
    PayloadError: (PrivateClientError, ValueError),
    JobError: (PrivateClientError,),
    JobFailedError: (JobError,),
    JobTimeoutError: (JobError,),
    PolicyError: (PrivateClientError, ValueError),
    ProvisioningError: (PrivateClientError,),
    MissingExtraError: (PrivateClientError, ImportError),
}

TRIED = (
    Evidence(step="private DNS", outcome="no", detail="the name resolves to 52.1.2.3"),
    Evidence(step="discovery", outcome="failed", detail="EC2 could not be asked"),
)
FOUND = (
    VpcEndpoint(
        vpc_endpoint_id="vpce-0aaaaaaaaaaaaaaaa",
        endpoint_service="com.amazonaws.us-east-1.sagemaker.api",
        vpc_id="vpc-0aaaaaaa",
        state="available",
    ),
    VpcEndpoint(
        vpc_endpoint_id="vpce-0bbbbbbbbbbbbbbbb",
        endpoint_service="com.amazonaws.us-east-1.sagemaker.api",
        vpc_id="vpc-0bbbbbbb",
        state="available",
    ),
)

NO_PRIVATE_ROUTE = """\
No way. Tried, in order:
  private DNS (no): the name resolves to 52.1.2.3
  discovery (failed): EC2 could not be asked
Cause: c.
Remedies, in order:
  1. do this.
  2. or that.
See docs/errors.md#no-private-route"""

AMBIGUOUS = """\
Several:
  vpce-0aaaaaaaaaaaaaaaa in vpc-0aaaaaaa
  vpce-0bbbbbbbbbbbbbbbb in vpc-0bbbbbbb
Cause: ours is not known.
Remedy: pass vpc_id=.
See docs/errors.md#ambiguous-vpc-endpoint"""

PUBLIC_ADDRESS = """\
h resolves to 52.1.2.3.
Possible causes: one; another.
Remedy: pass vpc_endpoint=.
See docs/errors.md#public-address"""

MISSING_EXTRA = """\
The simulator needs the optional dependencies of the extra 'testing'.
Cause: they are not installed in this environment.
Remedy: run: pip install 'sm-private-client[testing]'
See docs/errors.md#missing-extra"""

ONE_OF_EACH: list[tuple[PrivateClientError, dict[str, object], str]] = [
    (
        NoPrivateRouteError("No way.", attempts=TRIED, cause="c.", remedy=["do this.", "or that."]),
        {"attempts": TRIED},
        NO_PRIVATE_ROUTE,
    ),
    (
        AmbiguousVpcEndpointError(
            "Several:", candidates=FOUND, cause="ours is not known.", remedy="pass vpc_id=."
        ),
        {"candidates": FOUND},
        AMBIGUOUS,
    ),
    (
        VpcEndpointUnavailableError("Gone.", state="deleted", remedy="create it."),
        {"state": "deleted"},
        "Gone.\nRemedy: create it.\nSee docs/errors.md#vpc-endpoint-unavailable",
    ),
    (
        PublicAddressError(
            "h resolves to 52.1.2.3.",
            host="h",
            address="52.1.2.3",
            possible_causes=["one", "another"],
            remedy="pass vpc_endpoint=.",
        ),
        {"host": "h", "address": "52.1.2.3"},
        PUBLIC_ADDRESS,
    ),
    (
        StreamInterruptedError("Cut.", parts_received=3, cause="c."),
        {"parts_received": 3},
        "Cut.\nCause: c.\nSee docs/errors.md#stream-interrupted",
    ),
    (MissingExtraError("The simulator", extra="testing"), {"extra": "testing"}, MISSING_EXTRA),
    (
        ProvisioningError("What.", made=iter(["vpce-1", "sg-1"]), left=["sg-1"], remedy="do."),
        {"made": ("vpce-1", "sg-1"), "left": ("sg-1",)},
        "What.\nRemedy: do.\nSee docs/errors.md#provisioning",
    ),
    *[
        (
            cls("What.", cause="why.", remedy="do."),
            {},
            f"What.\nCause: why.\nRemedy: do.\nSee docs/errors.md#{cls.reference}",
        )
        for cls in (
            PrivateClientError,
            ConfigurationError,
            MissingRegionError,
            RoutingError,
            FipsUnavailableError,
            DiscoveryError,
            StreamError,
            PayloadError,
            JobError,
            JobFailedError,
            JobTimeoutError,
            PolicyError,
        )
    ],
]
each = pytest.mark.parametrize(
    ("error", "attributes", "text"), ONE_OF_EACH, ids=[type(e).__name__ for e, _, _ in ONE_OF_EACH]
)


def test_the_tree_is_drawn_in_full() -> None:
    """The tree has these classes with these parents, and no others."""
    made = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value not in (BotoCoreError, NoRegionError)
    }
    assert made == set(TREE)
    for cls, parents in TREE.items():
        assert cls.__bases__ == parents
    assert errors.__all__ == sorted(cls.__name__ for cls in TREE)


def test_the_module_docstring_draws_every_class() -> None:
    """The docstring of the module draws the tree."""
    for cls in TREE:
        assert cls.__name__ in (errors.__doc__ or "")


def test_every_class_has_its_row_here() -> None:
    """A class that is added to the tree is added to the tables of this file."""
    assert {type(error) for error, _, _ in ONE_OF_EACH} == set(TREE)


@pytest.mark.parametrize("cls", TREE, ids=lambda cls: cls.__name__)
def test_boto_catches_them_and_botocore_does_not_retry_them(cls: type[PrivateClientError]) -> None:
    """Each is a BotoCoreError and none an HTTPClientError, OSError or ConnectionError."""
    assert issubclass(cls, BotoCoreError)
    assert not issubclass(cls, (HTTPClientError, OSError))


@each
def test_message(error: PrivateClientError, attributes: dict[str, object], text: str) -> None:
    """The message has what happened, the cause, the remedy and the reference, in this order."""
    assert str(error) == text
    assert error.what
    assert str(error).startswith(error.what)
    assert {name: getattr(error, name) for name in attributes} == attributes


@each
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(
    error: PrivateClientError, attributes: dict[str, object], text: str, protocol: int
) -> None:
    """Each pickles with its message, its arguments and its attributes."""
    # Our own bytes, made the line before.
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
    assert type(again) is type(error)
    assert str(again) == text
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert {name: getattr(again, name) for name in attributes} == attributes


@each
def test_copies(error: PrivateClientError, attributes: dict[str, object], text: str) -> None:
    """A copy says the same and has a traceback of its own."""
    try:
        raise error
    except PrivateClientError as caught:
        again = copy.copy(caught)
    finally:
        error.__traceback__ = None
    assert again.__traceback__ is None
    assert (str(again), vars(again)) == (text, vars(error))
    assert {name: getattr(again, name) for name in attributes} == attributes


def test_possible_causes_are_for_where_the_cause_is_not_known() -> None:
    """The cause if it is known, the possible causes only if it is not."""
    error = PrivateClientError("W.", cause="c.", possible_causes=["p", "q"])
    assert str(error) == "W.\nCause: c.\nSee docs/errors.md#private-client-error"


def test_an_error_keeps_its_parts() -> None:
    """Who reports it otherwise need not read its text."""
    error = ConfigurationError("W.", cause="c.", remedy=("one.", "two."))
    assert (error.what, error.cause, error.remedies) == ("W.", "c.", ("one.", "two."))


def test_what_alone_is_enough() -> None:
    """Without attempts, causes and remedies the message has no empty parts."""
    assert str(NoPrivateRouteError("No.")) == "No.\nSee docs/errors.md#no-private-route"


def test_attempts_and_candidates_may_be_any_iterable() -> None:
    """Attempts and candidates are kept as tuples, whatever they were given as."""
    assert NoPrivateRouteError("No.", attempts=iter(TRIED)).attempts == TRIED
    assert FipsUnavailableError("No.", attempts=iter(TRIED)).attempts == TRIED
    assert AmbiguousVpcEndpointError("A:", candidates=iter(FOUND)).candidates == FOUND


def test_references_are_unique_kebab_case() -> None:
    """Each class has a reference of its own, in kebab case."""
    references = [cls.__dict__["reference"] for cls in TREE]
    assert len(set(references)) == len(references)
    for reference in references:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reference)


def test_references_are_headings_of_the_page_on_errors() -> None:
    """Every reference is a heading, and thereby an anchor, of docs/errors.md; none is left over."""
    page = Path(__file__).parent.parent / "docs" / "errors.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    anchors = {match[1] for line in lines if (match := re.match(r"#{2,4} `?([a-z-]+)`?\s*$", line))}
    assert {cls.reference for cls in TREE} - anchors == set()
    assert anchors - {cls.reference for cls in TREE} == set()


def test_botocore_s_own_attribute_is_there() -> None:
    """A BotoCoreError has ``kwargs``, which botocore's loggers read."""
    assert PrivateClientError("W.").kwargs == {}
