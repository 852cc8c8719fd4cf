"""The two promises, put to the test: a zone goes down, and a name turns public."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from sm_private_client.cli.demonstration.calls import CALL_THREADS, Calls, ask
from sm_private_client.cli.demonstration.events import Check, Event, Fact
from sm_private_client.cli.demonstration.scene import (
    HOME_ZONE,
    NAME,
    OTHER_ZONE,
    REGION,
    Scene,
    by_zone,
    in_words,
)
from sm_private_client.errors import PublicAddressError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["lose_a_zone", "turn_public"]

PUBLIC_ADDRESS: Final = "52.46.128.200"
"""In AWS's public range; nothing is sent there, the simulator only tells it in DNS."""

SLOWEST_CALL: Final = 5.0
"""Seconds; a dead zone costs about one, and a retry's pause about one more."""

SLOWEST_REFUSAL: Final = 2.0
"""Seconds; refusing takes one look-up, and waits for nobody."""


def lose_a_zone(scene: Scene) -> Iterator[Event]:
    """Takes our own zone down in the middle of the calls."""
    before, total = len(scene.link.requests), len(scene.model.rows)
    calls, cut = Calls(scene.runtime, NAME, scene.model), total // 3
    with contextlib.ExitStack() as down:
        for progress in calls.make():
            yield progress
            if progress.done == cut:
                # Packets vanish: the hardest way to go, since nothing says so.
                down.enter_context(scene.link.faults.zone(HOME_ZONE, how="swallow"))
    zones = by_zone(r.availability_zone for r in scene.link.requests[before:])
    yield Fact(
        name="zone_down",
        value={"zone": HOME_ZONE, "after_calls": cut, "slowest_call": round(calls.slowest, 2)},
        text=f"{HOME_ZONE} swallows every packet after call {cut}; slowest call "
        f"{calls.slowest:.1f} s, median {calls.median * 1000:.0f} ms",
    )
    yield Check(
        claim="every call was answered, and rightly",
        held=calls.right == total,
        found=f"{calls.right} of {total}",
    )
    # What was under way at the cut may have reached the zone, and be counted there.
    yield Check(
        claim=f"{OTHER_ZONE} took over",
        held=zones.get(OTHER_ZONE, 0) >= total - cut - 2 * CALL_THREADS,
        found=in_words(zones),
    )
    yield Check(
        claim=f"no call took longer than {SLOWEST_CALL:g} s",
        held=calls.slowest <= SLOWEST_CALL,
        found=f"{calls.slowest:.1f} s",
    )


def turn_public(scene: Scene) -> Iterator[Event]:
    """Has the runtime's name resolve to a public address, and calls."""
    link = scene.link
    link.faults.dns("sagemaker-runtime", PUBLIC_ADDRESS)
    scene.cut_connections()  # a new connection needs a new look-up
    dialled, inside = len(link.network.dialled), scene.bytes_inside()
    started = time.monotonic()
    refused: PublicAddressError | None = None
    said = "the call was answered"
    try:
        ask(scene.runtime, NAME, scene.model.rows[0])
    except PublicAddressError as error:
        refused, said = error, str(error).partition("\n")[0]
    seconds = time.monotonic() - started
    yield Fact(name="refusal", value=said, text=said)
    yield Check(
        claim="the call is refused with PublicAddressError, at once",
        held=refused is not None
        and refused.address == PUBLIC_ADDRESS
        and seconds <= SLOWEST_REFUSAL,
        found=f"after {seconds * 1000:.0f} ms",
    )
    yield Check(
        claim="that call dialled nothing and sent not a byte, inside or outside",
        held=(len(link.network.dialled), scene.bytes_inside()) == (dialled, inside),
        found=f"{len(link.network.dialled) - dialled} connections, "
        f"{scene.bytes_inside() - inside} bytes",
    )
    internet = link.internet
    yield Check(
        claim="the public address has received nothing since the demo began",
        held=(internet.connections, internet.bytes_received) == (0, 0),
        found=f"{internet.connections} connections, {internet.bytes_received} bytes",
    )
    sent = _bytes_with_the_guard_off(scene)
    yield Check(
        claim="its counter works: with the guard switched off the same call arrives there",
        held=sent > 0,
        found=f"{sent:,} bytes",
    )


def _bytes_with_the_guard_off(scene: Scene) -> int:
    # The default host, because the listener's certificate is for AWS's public names.
    session = scene.link.session(on_public_route="warn")
    runtime = session.client(
        "sagemaker-runtime",
        endpoint_url=f"https://runtime.sagemaker.{REGION}.amazonaws.com",
    )
    with _unheard_warnings(), contextlib.closing(runtime):
        ask(runtime, NAME, scene.model.rows[0])
    return scene.link.internet.bytes_received


@contextlib.contextmanager
def _unheard_warnings() -> Iterator[None]:
    """Keeps the warning that the guard is off, which is meant here, off an unconfigured stderr."""
    logger, handler = logging.getLogger("sm_private_client"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
