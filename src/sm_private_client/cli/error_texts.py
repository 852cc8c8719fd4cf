"""Errors as the command line reports them."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

from sm_private_client.errors import ConfigurationError, MissingExtraError, PrivateClientError
from sm_private_client.routing.settings import missing_region

__all__ = ["REPORTED", "missing_extra", "text_of", "unforeseen"]

_EXTRA_PACKAGES: Final = ("typer", "rich", "click")

REPORTED: Final = (BotoCoreError, ClientError)
"""What a command may end in without a traceback: our errors, botocore's and AWS's."""


def text_of(error: BaseException) -> str:
    """Return what happened, the cause and the remedy."""
    if isinstance(error, NoRegionError):
        error = missing_region(option="--region")
    elif isinstance(error, ProfileNotFound):
        error = ConfigurationError(
            f"There is no profile {error.kwargs.get('profile')!r}.",
            cause="neither the AWS config file nor the credentials file has a section for it.",
            remedy="pass --profile with the name of one of `aws configure list-profiles`.",
        )
    return str(error)


def missing_extra(error: Exception) -> MissingExtraError | None:
    """Return how to install what the command line needs, if an error says that it is missing."""
    name = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if name.partition(".")[0] not in _EXTRA_PACKAGES:
        return None
    return MissingExtraError("sm-private-client", extra="cli")


def unforeseen(error: Exception) -> PrivateClientError:
    """Return the text for an error that no command foresees: a full disk, or a mistake of ours.

    Of the latter only the class is told: what it says may hold a payload.
    """
    missing = missing_extra(error)
    if missing is not None:
        return missing
    if isinstance(error, OSError) and error.strerror:
        named = f" {error.filename}" if isinstance(error.filename, str) else ""
        return PrivateClientError(
            f"The system refused{named}: {error.strerror}.",
            remedy="see to that and run it again; --debug shows where it happened.",
        )
    return PrivateClientError(
        f"sm-private-client ended in a {type(error).__name__} that it did not foresee.",
        remedy="run it again with --debug and report what that shows.",
    )
