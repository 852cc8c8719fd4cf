"""Verification of a VPC endpoint as clients use it: a route, a judged address, TCP and TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from sm_private_client.errors import PrivateClientError, ProvisioningError
from sm_private_client.privatelink.addresses import AddressPolicy
from sm_private_client.privatelink.hostnames import partition_of
from sm_private_client.privatelink.other_services import (
    other_service,
    other_service_url,
    regional_dns_name,
)
from sm_private_client.privatelink.records import Route, VpcEndpoint
from sm_private_client.privatelink.services import is_family
from sm_private_client.routing.botocore_rules import partitions
from sm_private_client.session.private_routes import routes_of
from sm_private_client.transport.connector import Connector, Origin

if TYPE_CHECKING:
    from sm_private_client.provisioning.account import Account
    from sm_private_client.provisioning.records import PlannedVpcEndpoint
    from sm_private_client.session import Session

__all__ = ["verify_vpc_endpoint"]

CONNECT_TIMEOUT = 5.0
"""Seconds for look-up, connection and TLS handshake together."""


def verify_vpc_endpoint(
    planned: PlannedVpcEndpoint, found: VpcEndpoint, session: Session, account: Account
) -> str:
    """Connect to a VPC endpoint by its own DNS name; send no request.

    AWS documents no certificate for the own names of VPC endpoints that only browsers use, so
    these are verified without TLS.

    Returns:
        The address of the connection.

    Raises:
        ProvisioningError: There is no connection.
        DiscoveryError: EC2 could not be asked.
    """
    host = regional_dns_name(found.dns_names)
    if host is None:
        raise ProvisioningError(
            f"{found.vpc_endpoint_id} has no regional DNS name.",
            remedy="see its DnsEntries: aws ec2 describe-vpc-endpoints.",
        )
    try:
        route = _route(planned, found, host, session, account)
        routes = routes_of(session)
        dialer = routes.dialer(route)
        if planned.service_name:
            origin = Origin.of(route.endpoint_url, is_local=False)
            connector = Connector(dialer, origin, bundle=routes.bundle(), timeout=CONNECT_TIMEOUT)
            connection = connector.connect(route.endpoint_url)
            address = connection.address
            connection.close()
        else:
            dialed = dialer.dial(host, 443, timeout=CONNECT_TIMEOUT)
            address = dialed.address
            dialed.sock.close()
    except (BotoCoreError, OSError) as error:
        raise ProvisioningError(
            f"No connection to {host}.",
            cause=error.what.partition("\n")[0]
            if isinstance(error, PrivateClientError)
            else str(error),
            remedy=(
                "apply from a network that reaches the VPC, or pass verify=False.",
                "let TCP port 443 in by the security groups of the VPC endpoint, out by the "
                "caller's, and both ways by the network ACLs.",
            ),
        ) from error
    return address


def _route(
    planned: PlannedVpcEndpoint,
    found: VpcEndpoint,
    host: str,
    session: Session,
    account: Account,
) -> Route:
    if is_family(planned.service_name):
        session.forget_routes()
        return session.route(planned.service_name, endpoint_url=f"https://{host}")
    row = other_service(planned.service_name)
    region = str(session.region_name)
    addresses = [
        str(interface["PrivateIpAddress"])
        for interface in account.interfaces(found.network_interface_ids)
        if interface.get("PrivateIpAddress")
    ]
    return Route(
        service_name=planned.service_name or planned.service,
        region=region,
        partition=partition_of(region, partitions(session._session)).name,  # noqa: SLF001 - boto3 has no public name for it
        endpoint_url=other_service_url(row, host) if row else f"https://{host}",
        source="explicit",
        address_policy=AddressPolicy(eni_addresses=frozenset(addresses)),
    )
