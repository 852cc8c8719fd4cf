"""What tests of the simulator call it with: clients without retries, refused calls, raw TLS."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    import ssl

    from sm_private_client.testing import LocalPrivateLink

__all__ = ["ONCE", "client_of", "drain", "refused"]

ONCE: Final = Config(retries={"total_max_attempts": 1, "mode": "standard"})


def client_of(link: LocalPrivateLink, service_name: str, **options: Any) -> Any:
    """Return boto3's own client of a service beside SageMaker."""
    make: Any = boto3.Session(botocore_session=link.botocore_session()).client
    return make(service_name, **{"config": ONCE, **options})


def refused(call: Any, **arguments: Any) -> dict[str, Any]:
    """Return the answer of a call that must end in a service's error."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return dict(caught.value.response)


def drain(secured: ssl.SSLSocket) -> None:
    """Read below TLS, because ssl before Python 3.13 reports a reset as an end of file."""
    while socket.socket.recv(secured, 4096):
        pass
