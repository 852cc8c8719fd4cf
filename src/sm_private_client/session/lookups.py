"""The AWS calls that deciding a route may need, made with the session's own means."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sm_private_client.errors import DiscoveryError
from sm_private_client.privatelink.addresses import AddressPolicy, is_loopback_host, refusal
from sm_private_client.privatelink.records import Route
from sm_private_client.routing.discovery import Ec2Access
from sm_private_client.routing.network import SystemNetwork
from sm_private_client.routing.search import DNS_TIMEOUT
from sm_private_client.transport.guarded import (
    credentials_of,
    decide_route,
    guard,
    is_guarded,
    verified_by_client,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

    from sm_private_client.privatelink.addresses import AddressVerdict
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import SageMakerResource
    from sm_private_client.routing.router import ClientCredentials
    from sm_private_client.session.private_routes import PrivateRoutes

__all__ = ["RouteLookups", "own_vpc"]

_QUICK: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}
)
"""For the calls that deciding a route may need, so that no route is said within ten seconds."""


class RouteLookups:
    """Implements ``Callers`` of ``routing.router`` for one session.

    Args:
        boto3_client: boto3's own ``client``; a sealed session's guards what it makes.
        routes: Return the session's routes, which need these calls.
    """

    def __init__(
        self, boto3_client: Callable[..., Any], *, routes: Callable[[], PrivateRoutes]
    ) -> None:
        self._make = boto3_client
        self._routes = routes

    def ec2(self, region: str, credentials: ClientCredentials) -> Ec2Access:
        """Make an EC2 client; see ``Callers.ec2``."""
        made = self._make("ec2", region_name=region, config=_QUICK, **credentials.as_arguments())
        public = None
        if is_guarded(made):  # the session is sealed
            decide_route(made)  # now: the question itself has less time
        else:
            public = self._guard_if_private(made)
        routes = self._routes()
        network: object = routes.network
        return Ec2Access(
            client=made,
            identity=(
                SystemNetwork if isinstance(network, SystemNetwork) else network,
                region,
                made.meta.endpoint_url,
                _fingerprint(made),
            ),
            public_address=public,
        )

    def own_vpc(
        self,
        resource: SageMakerResource,
        route: Route,
        credentials: ClientCredentials,
        discovery: Discovery,
    ) -> str | None:
        """Ask SageMaker in which VPC a resource is; see ``Callers.own_vpc``."""
        asked = self._make(
            route.service_name,
            region_name=route.region,
            config=_QUICK,
            **credentials.as_arguments(),
        )
        dialer = self._routes().dialer(route)
        guard(asked, lambda _: dialer, verify=verified_by_client(asked))
        return own_vpc(resource, asked, discovery)

    def _guard_if_private(self, client: BaseClient) -> str | None:
        """Guard an EC2 client if its host is private; return its public address if it has one.

        Raises:
            PublicAddressError: It has, and ``discovery="private"`` forbids to ask there.
        """
        routes, url = self._routes(), client.meta.endpoint_url
        host = urlsplit(url).hostname or ""
        if is_loopback_host(host):
            return None  # a stand-in on this machine
        try:
            found = routes.network.resolve(host, timeout=DNS_TIMEOUT)
        except OSError:
            return None  # the call itself says so
        settings = routes.router.settings()
        policy = AddressPolicy(allowed_networks=settings.allowed_networks)
        outside = [v for v in map(policy.judge, found) if not v.private]
        if outside:
            return self._asked_publicly(client, host, outside[0])
        route = Route(
            service_name="ec2",
            region=client.meta.region_name,
            partition=client.meta.partition,
            endpoint_url=url,
            source="private-dns",
            address_policy=policy,
        )
        dialer = routes.dialer(route)
        guard(client, lambda _: dialer, verify=verified_by_client(client))
        return None

    def _asked_publicly(self, client: BaseClient, host: str, verdict: AddressVerdict) -> str:
        routes = self._routes()
        if routes.router.settings().discovery == "private":
            routes.egress.refused("ec2", host, address=verdict.address, rule=verdict.rule)
            raise refusal(host, verdict)
        counters = routes.egress.counters("ec2", host, verdict, availability_zone=None)

        def count(**_: object) -> None:
            counters.connected()
            counters.called()

        client.meta.events.register("before-send", count)
        return f"{host} ({verdict.address})"


def own_vpc(resource: SageMakerResource, client: Any, discovery: Discovery) -> str | None:  # noqa: ANN401 - boto3's
    """Return the VPC of what this process runs in.

    Args:
        resource: A notebook, Studio domain or training job.
        client: A ``sagemaker`` client.
        discovery: To find the VPC of a subnet.

    Returns:
        The VPC's id; ``None`` if SageMaker or EC2 does not say.
    """
    try:
        if resource.kind == "domain":
            return str(client.describe_domain(DomainId=resource.name)["VpcId"])
        if resource.kind == "notebook-instance":
            found = client.describe_notebook_instance(NotebookInstanceName=resource.name)
            subnets = (found["SubnetId"],)
        else:
            found = client.describe_training_job(TrainingJobName=resource.name)
            subnets = tuple(found["VpcConfig"]["Subnets"])
        return discovery.vpc_of_subnets(subnets)
    except (BotoCoreError, ClientError, DiscoveryError, KeyError):
        return None


def _fingerprint(client: BaseClient) -> str:
    """Return a digest of whom EC2 answers, equal for equal credentials; none of them is in it."""
    credentials = credentials_of(client)
    if credentials is None:
        return ""
    frozen = credentials.get_frozen_credentials()  # the question signs with them in a moment
    text = "\0".join(filter(None, (frozen.access_key, frozen.secret_key, frozen.token)))
    return hashlib.sha256(text.encode()).hexdigest()
