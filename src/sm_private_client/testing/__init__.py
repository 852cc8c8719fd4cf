"""A VPC with SageMaker endpoints on loopback, for tests and demonstrations.

``LocalPrivateLink`` plays EC2, STS, S3 and SageMaker with moto and puts in front of them what
PrivateLink adds: DNS, network interfaces in zones, TLS, signatures, faults. Needs the extra
``testing``. The pytest plugin has the fixtures ``private_link`` and ``private_session``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import MissingExtraError
from sm_private_client.testing.moto_import import import_without_profile

if TYPE_CHECKING:
    from sm_private_client.testing.faults import Fault, Faults
    from sm_private_client.testing.hosting import ModelCall, ModelFailure, ModelRecord
    from sm_private_client.testing.local_private_link import LocalPrivateLink
    from sm_private_client.testing.network import SimulatedNetwork
    from sm_private_client.testing.records import RequestRecord

__all__ = [
    "Fault",
    "Faults",
    "LocalPrivateLink",
    "ModelCall",
    "ModelFailure",
    "ModelRecord",
    "RequestRecord",
    "SimulatedNetwork",
]

_ROOMS: Final = {
    "Fault": "faults",
    "Faults": "faults",
    "LocalPrivateLink": "local_private_link",
    "ModelCall": "hosting",
    "ModelFailure": "hosting",
    "ModelRecord": "hosting",
    "RequestRecord": "records",
    "SimulatedNetwork": "network",
}
_EXTRA_PACKAGES = ("moto", "trustme", "h11", "flask", "flask_cors", "werkzeug")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_without_profile(f"{__name__}.{room}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _EXTRA_PACKAGES:
            raise MissingExtraError("LocalPrivateLink", extra="testing") from error
        raise


def __dir__() -> list[str]:
    return sorted(__all__)
