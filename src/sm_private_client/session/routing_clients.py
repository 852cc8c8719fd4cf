"""The AWS calls that deciding a route may need, by clients of the session."""

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

    from sm_private_client.privatelink.addresses import AddressVerdict
    from sm_private_client.routing.discovery import Discovery
    from sm_private_client.routing.location import SageMakerResource
    from sm_private_client.routing.router import ClientCredentials
    from sm_private_client.session.private_routes import PrivateRoutes
    from sm_private_client.types import BotoClient

__all__ = ["RouteLookups", "own_vpc"]

_ROUTING_CALLS: Final = Config(
    connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}
)
"""For these calls, so that the error of no route comes within ten seconds."""


class RouteLookups:
    """The ``Lookups`` of ``routing.router`` for one session.

    ``boto3_client`` is boto3's own ``client``; that of a sealed session guards its clients.
    """

    def __init__(
        self, boto3_client: Callable[..., Any], *, routes: Callable[[], PrivateRoutes]
    ) -> None:
        self._make = boto3_client
        self._routes = routes

    def ec2(self, region: str, credentials: ClientCredentials) -> Ec2Access:
        """Make an EC2 client; see ``Lookups.ec2``."""
        client = self._make(
            "ec2", region_name=region, config=_ROUTING_CALLS, **credentials.as_arguments()
        )
        public_address = None
        if is_guarded(client):  # the session is sealed
            decide_route(client)  # now: the call itself has less time
        else:
            public_address = self._guard_if_private(client)
        network: object = self._routes().network
        if isinstance(network, SystemNetwork):
            network = SystemNetwork  # all of them are alike
        identity = (network, region, client.meta.endpoint_url, _fingerprint(client))
        return Ec2Access(client=client, identity=identity, public_address=public_address)

    def own_vpc(
        self,
        resource: SageMakerResource,
        route: Route,
        credentials: ClientCredentials,
        discovery: Discovery,
    ) -> str | None:
        """Ask SageMaker in which VPC a resource is; see ``Lookups.own_vpc``."""
        client = self._make(
            route.service_name,
            region_name=route.region,
            config=_ROUTING_CALLS,
            **credentials.as_arguments(),
        )
        self._guard(client, route)
        return own_vpc(resource, client, discovery)

    def _guard(self, client: BotoClient, route: Route) -> None:
        dialer = self._routes().dialer(route)
        guard(client, lambda _: dialer, verify=verified_by_client(client))

    def _guard_if_private(self, client: BotoClient) -> str | None:
        """Guard an EC2 client if its host is private; return its public address if it has one.

        Raises:
            PublicAddressError: It has one, and ``discovery="private"`` forbids to call it.
        """
        routes, url = self._routes(), client.meta.endpoint_url
        host = urlsplit(url).hostname or ""
        if is_loopback_host(host):
            return None  # a stand-in on this machine
        try:
            addresses = routes.network.resolve(host, timeout=DNS_TIMEOUT)
        except OSError:
            return None  # the call itself raises
        settings = routes.router.settings()
        policy = AddressPolicy(allowed_networks=settings.allowed_networks)
        public = [v for v in map(policy.judge, addresses) if not v.private]
        if public:
            return self._count_public(client, host, public[0])
        route = Route(
            service_name="ec2",
            region=client.meta.region_name,
            partition=client.meta.partition,
            endpoint_url=url,
            source="private-dns",
            address_policy=policy,
        )
        self._guard(client, route)
        return None

    def _count_public(self, client: BotoClient, host: str, verdict: AddressVerdict) -> str:
        """Count the calls of a client that goes to a public address; return the address."""
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


def own_vpc(resource: SageMakerResource, client: BotoClient, discovery: Discovery) -> str | None:
    """Return the VPC of the notebook, Studio domain or training job that this process runs in.

    ``None``: SageMaker or EC2 does not say.
    """
    try:
        if resource.kind == "domain":
            return str(client.describe_domain(DomainId=resource.name)["VpcId"])
        if resource.kind == "notebook-instance":
            notebook = client.describe_notebook_instance(NotebookInstanceName=resource.name)
            subnets = (notebook["SubnetId"],)
        else:
            job = client.describe_training_job(TrainingJobName=resource.name)
            subnets = tuple(job["VpcConfig"]["Subnets"])
        return discovery.vpc_of_subnets(subnets)
    except (BotoCoreError, ClientError, DiscoveryError, KeyError):
        return None


def _fingerprint(client: BotoClient) -> str:
    """Return a digest that is equal for equal credentials."""
    credentials = credentials_of(client)
    if credentials is None:
        return ""
    frozen = credentials.get_frozen_credentials()  # the call signs with them in a moment
    text = "\0".join(filter(None, (frozen.access_key, frozen.secret_key, frozen.token)))
    return hashlib.sha256(text.encode()).hexdigest()
