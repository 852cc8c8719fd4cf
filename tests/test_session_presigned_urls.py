"""Specification of session/presigned_urls.py: what a presigned URL opens over is said once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from sm_private_client.testing import LocalPrivateLink

Ask = Callable[[Any], dict[str, Any]]


def ask_notebook(client: Any) -> dict[str, Any]:
    answer = client.create_presigned_notebook_instance_url(NotebookInstanceName="nb")
    return dict(answer)


def ask_domain(client: Any) -> dict[str, Any]:
    return dict(
        client.create_presigned_domain_url(DomainId="d-abcdefghijkl", UserProfileName="ada")
    )


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.endswith("presigned_urls")]


@pytest.mark.parametrize(
    ("ask", "operation", "service"),
    [
        (ask_notebook, "CreatePresignedNotebookInstanceUrl", "notebook"),
        (ask_domain, "CreatePresignedDomainUrl", "studio"),
    ],
)
def test_the_answer_is_warned_about_once_a_session(
    ask: Ask, operation: str, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is private, but the URL it returns opens over the internet."""
    with LocalPrivateLink() as link, caplog.at_level(logging.WARNING):
        session = link.session()
        for client in (session.client("sagemaker"), session.client("sagemaker", verify=None)):
            assert f".{service}.us-east-1.sagemaker.aws" in ask(client)["AuthorizedUrl"]
        messages = warnings(caplog)
    assert len(messages) == 1
    assert messages[0].startswith(f"The URL that {operation} returns opens over the internet: ")
    assert messages[0].endswith(
        "does not resolve to a VPC endpoint from here. Create an interface endpoint of "
        f"aws.sagemaker.REGION.{service} with private DNS to keep it private."
    )
    assert "token" not in messages[0].lower()


@pytest.mark.parametrize(("ask", "service"), [(ask_notebook, "notebook"), (ask_domain, "studio")])
def test_a_browser_vpc_endpoint_with_private_dns_silences_it(
    ask: Ask, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No warning if a notebook or studio VPC endpoint with private DNS is known."""
    with LocalPrivateLink() as link, caplog.at_level(logging.WARNING):
        link.create_vpc_endpoint(f"aws.sagemaker.us-east-1.{service}", private_dns=True)
        ask(link.session().client("sagemaker"))
    assert warnings(caplog) == []


def test_a_host_that_resolves_privately_silences_it(caplog: pytest.LogCaptureFixture) -> None:
    """If EC2 shows nothing (a shared VPC), private DNS is proof enough."""
    with LocalPrivateLink() as link, caplog.at_level(logging.WARNING):
        client = link.session().client("sagemaker")
        host = ask_notebook(link.session().client("sagemaker"))["AuthorizedUrl"]
        host = urlsplit(host).hostname or ""
        caplog.clear()
        with link.faults.dns(host, "10.9.9.9"):
            ask_notebook(client)
    assert warnings(caplog) == []


def test_a_browser_vpc_endpoint_without_private_dns_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without private DNS the URL's host still resolves publicly."""
    with LocalPrivateLink() as link, caplog.at_level(logging.WARNING):
        link.create_vpc_endpoint("aws.sagemaker.us-east-1.notebook", private_dns=False)
        ask_notebook(link.session().client("sagemaker"))
    assert len(warnings(caplog)) == 1
