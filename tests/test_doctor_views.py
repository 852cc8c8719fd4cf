"""A report as lines, as an HTML page with a picture of its paths, and on a terminal."""

from __future__ import annotations

import io
import json
import pickle
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from sm_private_client.cli.commands.doctor import render
from sm_private_client.doctor.findings import HOPS, Finding, Hop, HopState, Path, Report
from sm_private_client.doctor.views import fragment, page, path_svg, report_lines, summary

LABELS = (
    "you",
    "DNS",
    "eni-0123456789abcdef0 10.0.1.10 (us-east-1a)",
    "TLS",
    "SigV4",
    "endpoint policy",
    "SageMaker",
)
CLOSED = Finding(
    check="security-group",
    status="failure",
    subject="sg-1",
    seen="sg-1 lets nobody in.",
    cause="it has no rule for 443.",
    remedy=("aws ec2 authorize-security-group-ingress --group-id sg-1", "or open it <by hand>"),
    hop="network-interface",
)
FOLLOWS = Finding(
    check="connection",
    status="failure",
    subject="10.0.1.10",
    seen="no answer.",
    cause="not this one",
    remedy=("not this one",),
    follows_from="security-group",
)
UNKNOWN = Finding(check="network-acl", status="unknown", subject="acl-1", seen="not allowed.")
WARNING = Finding(check="proxy", status="warning", subject="HTTPS_PROXY", seen="is set.")
PASSED = Finding(check="dns", status="ok", subject="a.b", seen="resolves.")


def path(*states: HopState) -> Path:
    hops = (Hop(name=n, label=t, state=s) for n, t, s in zip(HOPS, LABELS, states, strict=True))
    return Path(service_name="sagemaker", hops=tuple(hops))


WHOLE = path("ok", "ok", "ok", "ok", "ok", "ok", "ok")
BROKEN = path("ok", "ok", "broken", "not-reached", "not-reached", "not-reached", "not-reached")
UNCLEAR = path("ok", "ok", "ok", "ok", "ok", "unknown", "ok")


def report_of(*findings: Finding, through: Path = WHOLE) -> Report:
    return Report(
        region="us-east-1",
        findings=findings,
        paths=(through,),
        created="2026-11-23T12:00:00+00:00",
        seconds=1.25,
    )


@pytest.mark.parametrize(
    ("report", "status", "healthy", "sentence"),
    [
        (report_of(PASSED), 0, True, "Healthy in us-east-1."),
        (report_of(WARNING, PASSED), 0, True, "Healthy in us-east-1, with 1 warning."),
        (report_of(WARNING, WARNING), 0, True, "Healthy in us-east-1, with 2 warnings."),
        (report_of(UNKNOWN, PASSED), 0, True, "Healthy in us-east-1."),
        (
            report_of(UNKNOWN, through=UNCLEAR),
            2,
            False,
            "Could not tell in us-east-1: a hop of a path could not be looked at.",
        ),
        (report_of(CLOSED, FOLLOWS), 1, False, "Broken in us-east-1: sg-1 lets nobody in."),
        (
            report_of(CLOSED, UNKNOWN, through=UNCLEAR),
            1,
            False,
            "Broken in us-east-1: sg-1 lets nobody in.",
        ),
    ],
)
def test_a_report_has_one_outcome(
    report: Report, status: int, sentence: str, *, healthy: bool
) -> None:
    """Exit status, health and sentence agree."""
    assert (report.exit_status, report.is_healthy, summary(report)) == (status, healthy, sentence)
    assert (report.root_cause is CLOSED) == (status == 1)
    assert json.loads(json.dumps(report.as_dict()))["exit_status"] == status
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - pickled here


def test_the_lines() -> None:
    """The outcome, the path with its broken hop, causes and remedies once, what is ok briefly."""
    report = report_of(CLOSED, FOLLOWS, UNKNOWN, WARNING, PASSED, PASSED, through=BROKEN)
    assert str(report) == "\n".join(report_lines(report))
    assert str(report) == (
        "Broken in us-east-1: sg-1 lets nobody in.\n"
        "\n"
        "sagemaker  you → DNS → ✗ eni-0123456789abcdef0 10.0.1.10 (us-east-1a) → · TLS → · SigV4 "
        "→ · endpoint policy → · SageMaker\n"
        "\n"
        "failure  security-group: sg-1\n"
        "    seen:    sg-1 lets nobody in.\n"
        "    cause:   it has no rule for 443.\n"
        "    remedy:  aws ec2 authorize-security-group-ingress --group-id sg-1\n"
        "    remedy:  or open it <by hand>\n"
        "failure  connection: 10.0.1.10 (follows from security-group)\n"
        "    seen:    no answer.\n"
        "unknown  network-acl: acl-1\n"
        "    seen:    not allowed.\n"
        "warning  proxy: HTTPS_PROXY\n"
        "    seen:    is set.\n"
        "ok       dns (2)\n"
        "\n"
        "6 findings in 1.2 s, 2026-11-23T12:00:00+00:00"
    )


class Elements(HTMLParser):
    """Collects elements, and checks that each is closed."""

    void = frozenset({"meta", "path", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.void:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self._open.pop() == tag


def test_the_page_is_one_file_and_escapes_everything() -> None:
    """Nothing is fetched and nothing runs; what the network said is text."""
    hostile: dict[str, Any] = {"subject": "<script>x</script>", "seen": "<img src=x>"}
    evil = Finding(check="tls-name", status="warning", **hostile)
    text = page(report_of(CLOSED, evil, PASSED, through=BROKEN))
    elements = Elements(text)
    assert not {"script", "img", "link", "iframe", "form"} & {tag for tag, _ in elements.found}
    for _, attributes in elements.found:
        assert not {"src", "href", "onload", "onclick"} & attributes.keys()
    assert "url(" not in text
    assert "&lt;script&gt;" in text
    assert "or open it &lt;by hand&gt;" in text
    assert "default-src 'none'" in text
    assert fragment(report_of(PASSED)) == report_of(PASSED)._repr_html_()


def test_the_picture_marks_the_broken_hop() -> None:
    """A box a hop, its state as class and mark; the label is broken between words."""
    svg = path_svg((BROKEN, WHOLE))
    boxes = [a for tag, a in Elements(svg).found if tag == "g"]
    assert [box["class"] for box in boxes] == [
        "hop ok",
        "hop ok",
        "hop broken",
        *(["hop not-reached"] * 4),
        *(["hop ok"] * 7),
    ]
    assert "✗ network interface" in svg
    labels = re.findall(r'class="label"[^>]*>([^<]+)<', svg)
    assert labels[:3] == ["eni-0123456789abcdef0", "10.0.1.10 (us-east-1a)", "SigV4"]


def test_a_long_label_ends_in_dots() -> None:
    """A host name is broken behind its dots, and cut after four lines."""
    long = Hop(name="dns", label=f"{'vpce-0a1b.' * 9}amazonaws.com", state="ok")
    labels = re.findall(
        r'class="label"[^>]*>([^<]+)<', path_svg((Path(service_name="s", hops=(long,)),))
    )
    assert len(labels) == 4
    assert labels[-1].endswith("…")
    assert all(len(label) <= 23 for label in labels)


def test_on_a_terminal() -> None:
    """The same, in colours; what is ok takes one line."""
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system="truecolor")
    console.print(render(report_of(CLOSED, FOLLOWS, PASSED, through=BROKEN)))
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert "✗ eni-0123456789abcdef0 10.0.1.10 (us-east-1a) → TLS" in text
    assert "remedy: aws ec2 authorize-security-group-ingress --group-id sg-1" in text
    assert text.count("remedy:") == 2
    assert "\x1b[1;31m✗ eni-" in out.getvalue()
