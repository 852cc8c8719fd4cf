"""A VPC with SageMaker endpoints on loopback, for tests and demonstrations.

``LocalPrivateLink`` plays EC2, STS, S3 and SageMaker with moto and puts in front of them what
PrivateLink adds: DNS, network interfaces in zones, TLS, signatures, faults. Needs the extra
``testing``. The pytest plugin has the fixtures ``private_link`` and ``private_session``.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from sm_private_client.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

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

_MODULES: Final = {
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
_PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(_import_without_profile(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _EXTRA_PACKAGES:
            raise MissingExtraError("LocalPrivateLink", extra="testing") from error
        raise


def __dir__() -> list[str]:
    return sorted(__all__)


def _import_without_profile(name: str) -> ModuleType:
    """Import a module while no variable names a profile; the variables are put back afterwards.

    moto makes boto3 sessions while it is imported and when it is first used, and these fail if
    ``AWS_PROFILE`` names a profile that is not there.
    """
    kept = {variable: os.environ.pop(variable, None) for variable in _PROFILE_VARIABLES}
    try:
        module = importlib.import_module(name)
        if "moto" in sys.modules:
            from moto.core.base_backend import AccountSpecificBackend  # noqa: PLC0415 - optional

            AccountSpecificBackend.get_session()  # moto keeps it for all its backends
        return module
    finally:
        os.environ.update({name: value for name, value in kept.items() if value is not None})
