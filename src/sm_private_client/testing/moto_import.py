"""Import what needs moto, whatever the process's profile is.

moto makes boto3 sessions while it is imported and when it is first used, and these fail where
``AWS_PROFILE`` names a profile that is not there.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["import_without_profile"]

_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")


def import_without_profile(name: str) -> ModuleType:
    """Imports a module while no variable names a profile; they are put back afterwards."""
    kept = {variable: os.environ.pop(variable, None) for variable in _VARIABLES}
    try:
        module = importlib.import_module(name)
        if "moto" in sys.modules:
            from moto.core.base_backend import AccountSpecificBackend  # noqa: PLC0415 - optional

            AccountSpecificBackend.get_session()  # moto keeps it for all its backends
        return module
    finally:
        os.environ.update({name: value for name, value in kept.items() if value is not None})
