"""Why a call of EC2 failed, and what helps, as two sentences."""

from __future__ import annotations

import re
from typing import Final

from botocore.exceptions import ClientError, NoCredentialsError

from sm_private_client.errors import PrivateClientError

__all__ = ["DENIED", "is_throttled", "retold", "why"]

DENIED: Final = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"}
)
_PERFORM: Final = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


def is_throttled(error: Exception) -> bool:
    """Says whether EC2 throttles, also where that is the cause of an error of ours."""
    failed = error.__cause__ if isinstance(error, PrivateClientError) else error
    code = failed.response["Error"]["Code"] if isinstance(failed, ClientError) else ""
    return code == "RequestLimitExceeded" or "Throttl" in code


def why(error: Exception, permission: str) -> tuple[str, str]:
    """Gives the cause of a failed EC2 call, and the remedy, each as a sentence."""
    if isinstance(error, ClientError):
        code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in DENIED:
            named = _PERFORM.search(said)  # EC2 names the action that was missing, mostly
            missing = named[1] if named else permission
            return f"this identity is not allowed to ({code}).", f"allow {missing} for it."
        if is_throttled(error):
            return f"EC2 throttles this account ({code}).", "try again in a minute."
        told = f": {said.rstrip('.')}" if said else ""
        return f"EC2 answered {code}{told}.", "correct what EC2 names, and try again."
    if isinstance(error, NoCredentialsError):
        return "there are no AWS credentials.", "give credentials as for boto3."
    if isinstance(error, PrivateClientError):
        return error.what.partition("\n")[0], "see that error's own remedy."
    return (
        f"{type(error).__name__}: {str(error).rstrip('.')}.",
        "make EC2 reachable from here: by an interface endpoint for EC2, or from another network.",
    )


def retold(error: PrivateClientError) -> tuple[str, tuple[str, ...]]:
    """Takes an error of ours apart: what happened and why, and its remedies."""
    cause, remedies = error.what, []
    for line in str(error).removeprefix(error.what).splitlines():
        if line.startswith("Cause: "):
            cause += f" {line.removeprefix('Cause: ')}"
        elif match := re.match(r"Remedy: (.+)|  \d+\. (.+)", line):
            remedies.append(match[1] or match[2])
    return cause, tuple(remedies)
