"""Site: where a run happens: the server, an environment of its own, and who calls the server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import trustme
from botocore.config import Config

from benchmarks import ours
from benchmarks.network import REGION, VPC_ENDPOINT

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from sm_private_client import Session
    from sm_private_client.inference.predictor import Predictor

__all__ = ["ROOT", "Site"]

ROOT: Final = Path(__file__).resolve().parent.parent

_KEPT_VARIABLES: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")


class Site:
    """Starts the server and return the process an environment that leads boto3 to it.

    Nothing of the machine's own AWS set-up, proxies or routing settings is left: all clients,
    here and in fresh processes, find the same keys, region and certificate authority.

    Attributes:
        url: The server's URL, for clients that have it typed in.
        port: Its port on 127.0.0.1.
        directory: For files of the run; it is deleted at the end.
    """

    def __init__(self) -> None:
        self._files = tempfile.TemporaryDirectory(prefix="sm-private-client-bench-")
        self.directory = Path(self._files.name)
        self.ca_bundle = str(self.directory / "ca.pem")
        self._set_environment()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_bundle)
        certificate = self.directory / "server.pem"
        issued = authority.issue_cert("localhost", "127.0.0.1", VPC_ENDPOINT)
        issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self._server = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "benchmarks.server", str(certificate)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._server.stdout.readline() if self._server.stdout else ""
        if not line:
            self.close()
            raise ChildProcessError("The server did not start; see above what it said.")
        self.port = int(line)
        self.url = f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server and delete the files."""
        self._server.communicate(timeout=30)  # the end of its input is its end
        self._files.cleanup()

    def boto3_client(self, session: boto3.Session | None = None) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """Return boto3's client, with the URL typed in and a pool of 32."""
        return (session or boto3.Session()).client(
            "sagemaker-runtime", endpoint_url=self.url, config=Config(max_pool_connections=32)
        )

    def session(self) -> Session:
        """Make a routed session."""
        return ours.session(self.port)

    def predictor(self) -> Predictor:
        """Make a predictor of a new session."""
        return self.session().predictor(ours.ENDPOINT_NAME)

    def _set_environment(self) -> None:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        os.environ.clear()
        os.environ.update(
            kept,
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",  # noqa: S106 - AWS's example
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
            AWS_CA_BUNDLE=self.ca_bundle,
            AWS_CONFIG_FILE=str(self.directory / "config"),
            AWS_SHARED_CREDENTIALS_FILE=str(self.directory / "credentials"),
            AWS_EC2_METADATA_DISABLED="true",
        )
