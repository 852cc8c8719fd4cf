"""How clients get to the simulator: keys, files, variables, sessions."""

from __future__ import annotations

import abc
import functools
from typing import TYPE_CHECKING, Any, Literal

import botocore.loaders
import botocore.session

from sm_private_client.routing.location import locate
from sm_private_client.routing.settings import read_environment

if TYPE_CHECKING:
    from sm_private_client.session import Session
    from sm_private_client.testing.network import SimulatedNetwork
    from sm_private_client.testing.simulator import Simulator

__all__ = ["Access"]

OtherServices = Literal["loopback", "network"]


@functools.cache
def _loader(data_path: str | None) -> Any:  # noqa: ANN401 - botocore's is untyped
    """Reads botocore's models once a process: EC2's alone takes a third of a second."""
    return botocore.loaders.create_loader(data_path)


class Access(abc.ABC):
    """The part of ``LocalPrivateLink`` that clients are made with.

    Attributes:
        region: The region.
    """

    region: str

    @property
    @abc.abstractmethod
    def _running(self) -> Simulator:
        """What runs."""

    @property
    def network(self) -> SimulatedNetwork:
        """The network as seen from inside the VPC: a ``NetworkBackend``."""
        return self._running.network

    @property
    def account_id(self) -> str:
        """The account."""
        return self._running.control.account_id

    @property
    def access_key_id(self) -> str:
        """The id of a key that is good for everything."""
        return self._running.control.access_key_id

    @property
    def secret_access_key(self) -> str:
        """That key's secret, which is worth nothing outside of the simulator."""
        return self._running.control.secret_access_key

    @property
    def ca_bundle(self) -> str:
        """Path of the certificate authority that the listeners' certificates are signed by."""
        return str(self._running.files.ca_bundle)

    @property
    def corporate_ca_bundle(self) -> str:
        """Path of a bundle that also has the authority of ``faults.tls_inspection``."""
        return str(self._running.authorities.corporate_bundle)

    @property
    def control_url(self) -> str:
        """The URL of EC2, STS, S3, IAM and the other services."""
        return f"http://127.0.0.1:{self._running.other_services.port}"

    def environment(self) -> dict[str, str]:
        """Gives the variables that lead boto3 in another process, or all of this one, here.

        SageMaker's own services stay without a URL: they are only found through ``network``.
        """
        files = self._running.files
        return {
            "AWS_CONFIG_FILE": str(files.config),
            "AWS_SHARED_CREDENTIALS_FILE": str(files.credentials),
            "AWS_PROFILE": "default",
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": "",
            "AWS_CA_BUNDLE": self.ca_bundle,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def botocore_session(
        self, *, other_services: OtherServices = "loopback"
    ) -> botocore.session.Session:
        """Makes a botocore session with the simulator's files, keys and authority.

        Args:
            other_services: ``loopback``: EC2, STS, S3 and so on have ``control_url`` as their URL.
                ``network``: they have their own host names, and are reached only by clients
                whose connections go through ``network``.
        """
        files = self._running.files
        config = files.config if other_services == "loopback" else files.network_config
        session = botocore.session.Session()
        for name, value in (
            ("config_file", str(config)),
            ("credentials_file", str(files.credentials)),
            ("profile", "default"),
            ("ca_bundle", self.ca_bundle),
            ("region", self.region),
        ):
            session.set_config_variable(name, value)
        loader = _loader(read_environment().get("AWS_DATA_PATH"))
        session.register_component("data_loader", loader)
        return session

    def session(
        self,
        *,
        other_services: OtherServices = "loopback",
        **arguments: Any,  # noqa: ANN401 - boto3.Session's own
    ) -> Session:
        """Makes a ``Session`` inside the VPC; the process's environment is left alone.

        Args:
            other_services: See ``botocore_session``.
            **arguments: Of ``sm_private_client.Session``.
        """
        # Here, because the session stands above this room for all but this method.
        from sm_private_client.session import Session  # noqa: PLC0415
        from sm_private_client.session.private_routes import routes_of  # noqa: PLC0415

        arguments.setdefault("network", self.network)
        arguments.setdefault(
            "botocore_session", self.botocore_session(other_services=other_services)
        )
        made = Session(**arguments)
        metadata = self._running.metadata
        if metadata is not None:
            # A real session asks the machine's own firmware whether this is EC2.
            routes_of(made).router.set_location(
                locate(self.network, environ=metadata.environment, root=metadata.root)
            )
        return made
