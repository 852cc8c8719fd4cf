"""The plugin that botocore loads into every client, in processes whose code is not ours.

``BOTOCORE_EXPERIMENTAL__PLUGINS="sm-private-client=sm_private_client.plugin"`` has botocore call
``initialize_client_plugin`` with each client that it has made. botocore swallows what a plugin
raises and hands the client out, to the public host; so nothing is raised here. A client of the
SageMaker family that cannot be guarded has each of its calls refused, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, CredentialRetrievalError

from sm_private_client.errors import PrivateClientError, RoutingError
from sm_private_client.integrations.blocking import block

__all__ = [
    "ENTRY",
    "VARIABLE",
    "HookState",
    "hook_state",
    "initialize_client_plugin",
    "is_live",
    "with_entry",
]

VARIABLE: Final = "BOTOCORE_EXPERIMENTAL__PLUGINS"
"""The environment variable that botocore reads whenever it makes a client."""

ENTRY: Final = "sm-private-client=sm_private_client.plugin"
"""What stands in it, among the entries of other plugins, with commas between."""


def initialize_client_plugin(client: Any) -> None:  # noqa: ANN401 - boto3's or aiobotocore's
    """Guards a client of the SageMaker family, or blocks its calls; never raises.

    Args:
        client: A client that botocore has just made.
    """
    try:
        _guard(client)
    except PrivateClientError as error:
        block(client, error)
    except Exception as error:  # noqa: BLE001 - a traceback is for --debug
        block(client, _failed(error))


def _guard(client: Any) -> None:  # noqa: ANN401
    from sm_private_client.privatelink.services import is_family  # noqa: PLC0415 - see below

    # Loaded as far as it is needed: a process without SageMaker clients loads next to nothing, and
    # what cannot be loaded blocks the client rather than being swallowed.
    service_name = client.meta.service_model.service_name
    if not is_family(service_name) and not _is_sealing_asked_for():
        return
    from sm_private_client.transport.guarded import is_guarded  # noqa: PLC0415

    if is_guarded(client):
        return  # a session of ours made it
    if not is_family(service_name):
        from sm_private_client.integrations.blocking import unsealed  # noqa: PLC0415

        raise unsealed(service_name)
    from sm_private_client.api import default_session  # noqa: PLC0415

    default_session().guard(client)


def _is_sealing_asked_for() -> bool:
    from sm_private_client.integrations.blocking import is_sealing_asked_for  # noqa: PLC0415

    return is_sealing_asked_for()


def _failed(error: Exception) -> RoutingError:
    return RoutingError(
        "The plugin sm_private_client.plugin could not decide a private route for this client, "
        "so its calls are blocked.",
        cause=f"{type(error).__name__}{_told(error)}.",
        remedy=(
            "run: sm-private-client doctor",
            f"take {ENTRY} out of {VARIABLE} only if these calls may go out publicly.",
        ),
    )


def _told(error: Exception) -> str:
    """Gives an error's text where it can hold no secret; that of a credential process may."""
    safe = isinstance(error, (BotoCoreError, ImportError))
    safe = safe and not isinstance(error, CredentialRetrievalError)
    return f": {error}".rstrip(".") if safe else ""


def with_entry(value: str | None) -> str:
    """Gives the variable's value with our entry in it, once, after those of other plugins.

    Args:
        value: What the variable has; ``None`` where it is not set. ``DISABLED`` is botocore's
            word for no plugins.
    """
    others = [] if value in (None, "DISABLED") else str(value).split(",")
    kept = [entry.strip() for entry in others if entry.strip() and not _is_ours(entry)]
    return ",".join([*kept, ENTRY])


def _is_ours(entry: str) -> bool:
    name, separator, module = (part.strip() for part in entry.partition("="))
    return bool(separator) and (module == __name__ or name == ENTRY.partition("=")[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class HookState:
    """Whether the plugin protects the clients of this process.

    Attributes:
        value: What the variable has; ``None`` where it is not set.
        is_named: Whether our module is among its entries, as botocore reads them.
        is_live: Whether a client that was made in this process was really guarded.
        detail: The same as a sentence.
    """

    value: str | None
    is_named: bool
    is_live: bool
    detail: str


def hook_state() -> HookState:
    """Looks whether botocore loads the plugin in this process; nothing is sent."""
    from sm_private_client.integrations.blocking import is_sealing_asked_for  # noqa: PLC0415
    from sm_private_client.routing.settings import read_environment  # noqa: PLC0415

    value = read_environment().get(VARIABLE)
    named = value is not None and __name__ in _modules(value)
    if not named:
        detail = f"{VARIABLE} {'does not name the plugin' if value else 'is not set'}."
        return HookState(value=value, is_named=False, is_live=False, detail=detail)
    live = _guards_a_client()
    blocked = (
        "; sealing is asked for, so that clients of services outside the SageMaker family are "
        "blocked"
    )
    detail = (
        "a client that botocore made in this process was guarded"
        f"{blocked if is_sealing_asked_for() else ''}."
        if live
        else f"{VARIABLE} names the plugin, but a client made in this process was not guarded."
    )
    return HookState(value=value, is_named=True, is_live=live, detail=detail)


def is_live() -> bool:
    """Says whether botocore loads the plugin in this process and it guards clients."""
    return hook_state().is_live


def _modules(value: str) -> list[str]:
    """Reads the variable as botocore does: what is not ``name=module`` is passed over."""
    pairs = [entry.split("=") for entry in value.split(",")]
    return [pair[1].strip() for pair in pairs if len(pair) == 2]  # noqa: PLR2004 - name and module


def _guards_a_client() -> bool:
    import botocore.session  # noqa: PLC0415 - only the probe needs it

    from sm_private_client.transport.guarded import is_guarded  # noqa: PLC0415

    # A URL that names a private address is judged without asking anybody; it is never called.
    made = botocore.session.Session().create_client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url="https://10.0.0.1",
        aws_access_key_id="probe",
        aws_secret_access_key="probe",  # noqa: S106 - no secret
    )
    try:
        return is_guarded(made)
    finally:
        made.close()
