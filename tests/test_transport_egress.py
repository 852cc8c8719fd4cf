"""Specification of transport/egress.py: counted exactly, shown whole, without secrets."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.transport.egress import Egress, EgressLog

PRIVATE = AddressPolicy().judge("10.0.0.5")
LOCAL = AddressPolicy(local=True).judge("127.0.0.1")
PUBLIC = AddressPolicy().judge("52.46.128.77")


def ledger() -> EgressLog:
    log = EgressLog()
    counters = log.counters(
        "sts", "sts.us-east-1.amazonaws.com", PRIVATE, availability_zone="us-east-1a"
    )
    counters.connected()
    counters.called()
    counters.called()
    log.refused("sqs", "sqs.us-east-1.amazonaws.com", rule="no-private-route")
    return log


def test_records_are_sorted_and_have_every_number() -> None:
    """One record a service, host, address, zone and rule."""
    read = ledger().read(sealed=True)
    assert [
        (r.service_name, r.address, r.rule, r.connections, r.calls, r.refused) for r in read.records
    ] == [
        ("sqs", "", "no-private-route", 0, 0, 1),
        ("sts", "10.0.0.5", "private-range", 1, 2, 0),
    ]


def test_as_json_holds_everything() -> None:
    """The evidence of a review, as a file."""
    read = ledger().read(sealed=True)
    assert json.loads(read.as_json()) == read.as_dict()
    assert read.as_dict() == {
        "sealed": True,
        "reached_public": False,
        "records": [
            {
                "service_name": "sqs",
                "host": "sqs.us-east-1.amazonaws.com",
                "address": "",
                "availability_zone": None,
                "private": False,
                "rule": "no-private-route",
                "connections": 0,
                "calls": 0,
                "refused": 1,
            },
            {
                "service_name": "sts",
                "host": "sts.us-east-1.amazonaws.com",
                "address": "10.0.0.5",
                "availability_zone": "us-east-1a",
                "private": True,
                "rule": "private-range",
                "connections": 1,
                "calls": 2,
                "refused": 0,
            },
        ],
    }


def test_the_table_in_a_terminal() -> None:
    """Columns are aligned, and the last line says what was looked at."""
    assert str(ledger().read(sealed=True)).splitlines() == [
        "service  host                         address   zone        private  rule"
        "              connections  calls  refused",
        "sqs      sqs.us-east-1.amazonaws.com  -         -           no       no-private-route"
        "  0            0      1",
        "sts      sts.us-east-1.amazonaws.com  10.0.0.5  us-east-1a  yes      private-range"
        "     1            2      0",
        "The session is sealed: this is every client of it.",
    ]


def test_a_session_that_is_not_sealed_says_what_it_does_not_see() -> None:
    """Clients of other services are boto3's own there."""
    assert str(Egress(sealed=False, records=())).endswith(
        "clients of services outside the SageMaker family are not observed."
    )


def test_the_notebook_table_escapes_what_it_shows() -> None:
    """A host name is data."""
    log = EgressLog()
    log.refused("s3", "<script>", rule="public")
    shown = log.read(sealed=True)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    ("verdict", "reached_public"), [(PRIVATE, False), (LOCAL, False), (PUBLIC, True)]
)
def test_what_was_reached_publicly_is_said(verdict: object, reached_public: bool) -> None:
    """on_public_route="warn" lets it pass; a stand-in on this machine is neither."""
    log = EgressLog()
    log.counters("sagemaker", "host", verdict, availability_zone=None).connected()  # type: ignore[arg-type] # a row
    assert log.read(sealed=False).reached_public is reached_public
    assert log.read(sealed=False).records[0].private is (verdict is PRIVATE)


def test_a_refusal_alone_reaches_nothing() -> None:
    """It is in the record, and nothing public was reached."""
    log = EgressLog()
    log.refused("s3", "host", address="52.46.128.77", rule="public")
    assert not log.read(sealed=True).reached_public


def test_no_count_is_lost_between_threads_and_readers() -> None:
    """Sixteen threads count the same ways while another one reads."""
    log, done = EgressLog(), threading.Event()

    def work(_: int) -> None:
        for number in range(2_000):
            counters = log.counters("s", f"h{number % 3}", PRIVATE, availability_zone=None)
            counters.connected()
            counters.called()

    def read() -> None:
        while not done.is_set():
            log.read(sealed=True)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    done.set()
    reader.join()
    records = log.read(sealed=True).records
    assert sum(r.calls for r in records) == sum(r.connections for r in records) == 32_000
