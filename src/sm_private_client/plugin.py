"""The plugin that botocore loads into every client, in processes whose code is not ours.

``BOTOCORE_EXPERIMENTAL__PLUGINS="sm-private-client=sm_private_client.plugin"`` has botocore call
``initialize_client_plugin`` with each client that it has made. botocore swallows an exception of
a plugin and returns the client, which would go to the public host. So nothing is raised here: a
client of the SageMaker family that cannot be guarded raises the reason in each of its calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import botocore.session
from botocore.exceptions import BotoCoreError, CredentialRetrievalError

from sm_private_client.errors import PrivateClientError, RoutingError
from sm_private_client.integrations.blocking import block, is_sealing_asked_for, unsealed
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.settings import read_environment
from sm_private_client.transport.guarded import is_guarded

if TYPE_CHECKING:
    from sm_private_client.types import BotoClient

__all__ = ["ENTRY", "VARIABLE", "initialize_client_plugin", "is_live", "with_entry"]

VARIABLE: Final = "BOTOCORE_EXPERIMENTAL__PLUGINS"
"""The environment variable that botocore reads whenever it makes a client."""

ENTRY: Final = "sm-private-client=sm_private_client.plugin"
"""Our entry in it; commas separate it from those of other plugins."""


def initialize_client_plugin(client: BotoClient) -> None:
    """Guard a client that botocore has just made, or block its calls; never raise."""
    try:
        _guard(client)
    except PrivateClientError as error:
        block(client, error)
    except Exception as error:  # noqa: BLE001 - botocore would swallow it and go out publicly
        block(client, _failed(error))


def _guard(client: BotoClient) -> None:
    service_name = client.meta.service_model.service_name
    if not is_family(service_name) and not is_sealing_asked_for():
        return
    if is_guarded(client):
        return  # a session of ours made it
    if not is_family(service_name):
        raise unsealed(service_name)
    # Here: a process without SageMaker clients need not load a session, and an import that fails
    # blocks the client.
    from sm_private_client.api import default_session
    from sm_private_client.session.session import guard_client

    guard_client(default_session(), client)


def _failed(error: Exception) -> RoutingError:
    # Not the text of any error: that of a credential process may hold a secret.
    is_safe = isinstance(error, (BotoCoreError, ImportError))
    is_safe = is_safe and not isinstance(error, CredentialRetrievalError)
    text = f": {error}".rstrip(".") if is_safe else ""
    return RoutingError(
        "The plugin sm_private_client.plugin could not decide a private route for this client, "
        "so its calls are blocked.",
        cause=f"{type(error).__name__}{text}.",
        remedy=(
            "run: sm-private-client doctor",
            f"take {ENTRY} out of {VARIABLE} only if these calls may go out publicly.",
        ),
    )


def with_entry(value: str | None) -> str:
    """Return a value of the variable with our entry in it once, after those of other plugins."""
    is_empty = value in (None, "DISABLED")  # botocore's word for no plugins
    entries = [] if is_empty else str(value).split(",")
    others = [entry.strip() for entry in entries if entry.strip() and not _is_ours(entry)]
    return ",".join([*others, ENTRY])


def _is_ours(entry: str) -> bool:
    name, separator, module = (part.strip() for part in entry.partition("="))
    return bool(separator) and (module == __name__ or name == ENTRY.partition("=")[0])


def is_live() -> bool:
    """Return True if botocore loads the plugin in this process and it guards clients; no I/O."""
    entries = read_environment().get(VARIABLE, "").split(",")
    # As botocore reads it: an entry that is not name=module is passed over.
    modules = [entry.partition("=")[2].strip() for entry in entries if entry.count("=") == 1]
    return __name__ in modules and _guards_a_client()


def _guards_a_client() -> bool:
    # A URL that names a private address is judged without asking anybody; it is never called.
    client = botocore.session.Session().create_client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url="https://10.0.0.1",
        aws_access_key_id="probe",
        aws_secret_access_key="probe",  # noqa: S106 - no secret
    )
    try:
        return is_guarded(client)
    finally:
        client.close()
