"""What the steps of the demonstration share: the names, and what stands so far."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sm_private_client.cli.demonstration.stage import ModelServer
    from sm_private_client.cli.demonstration.training import TrainedModel
    from sm_private_client.session import Session
    from sm_private_client.testing import LocalPrivateLink

__all__ = ["HOME_ZONE", "NAME", "OTHER_ZONE", "REGION", "SERVICES", "Scene", "by_zone", "in_words"]

NAME: Final = "breast-cancer"
REGION: Final = "us-east-1"
HOME_ZONE: Final = "us-east-1a"
OTHER_ZONE: Final = "us-east-1b"
SERVICES: Final = ("sagemaker", "sagemaker-runtime")

_CUT_TIMEOUT: Final = 5.0


@dataclass
class Scene:
    """What stands; each step adds to it.

    Attributes:
        stack: Takes everything away at the end.
        directory: Where files are.
        model: The trained model.
        server: The model server.
        link: The simulator.
        session: The session inside its VPC.
        sagemaker: The ``sagemaker`` client.
        runtime: The ``sagemaker-runtime`` client.
    """

    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    directory: Path | None = None
    model: TrainedModel = field(init=False)
    server: ModelServer | None = None
    link: LocalPrivateLink = field(init=False)
    session: Session = field(init=False)
    sagemaker: Any = None
    runtime: Any = None

    def bytes_inside(self) -> int:
        """Counts what the network interfaces of all VPC endpoints have received."""
        interfaces = [i for v in self.link.vpc_endpoints for i in v.interfaces]
        return sum(interface.listener.bytes_received for interface in interfaces)

    def cut_connections(self) -> None:
        """Ends the connections that stand, so that the next call needs a new one."""
        listeners = [i.listener for v in self.link.vpc_endpoints for i in v.interfaces]
        for listener in listeners:
            listener.reset_connections()
        deadline = time.monotonic() + _CUT_TIMEOUT
        while any(listener.open_connections() for listener in listeners):
            if time.monotonic() > deadline:
                raise TimeoutError("connections to the VPC endpoints could not be ended")
            time.sleep(0.005)


def by_zone(zones: Iterable[str | None]) -> dict[str, int]:
    """Counts by zone; ``None`` is outside of all of them."""
    counted: dict[str, int] = {}
    for zone in zones:
        name = zone or "the internet"
        counted[name] = counted.get(name, 0) + 1
    return counted


def in_words(values: dict[str, Any]) -> str:
    """Gives names and values as one line."""
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items())) or "nothing"
