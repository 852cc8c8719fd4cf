"""Choose the subnets that a VPC endpoint gets network interfaces in: one a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning.records import Subnet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.provisioning.looking import VpcSubnet

__all__ = ["chosen_subnets"]


def chosen_subnets(
    asked: Literal["one-per-zone"] | Sequence[str], there: Sequence[VpcSubnet], vpc_id: str
) -> tuple[Subnet, ...]:
    """Gives the subnets, ordered by zone.

    For ``one-per-zone`` the first of each zone by its id, those first in which nothing gets a
    public address and that have a free address.

    Raises:
        ConfigurationError: A subnet is not in the VPC, two are in one zone, or there is none.
    """
    if asked == "one-per-zone":
        found = _one_per_zone(there)
        if not found:
            raise ConfigurationError(
                f"{vpc_id} has no subnets.",
                remedy="create a subnet in each zone that callers are in.",
            )
        return found
    wanted = (asked,) if isinstance(asked, str) else tuple(asked)
    known = {subnet.subnet_id: subnet for subnet in there}
    if not wanted or (strangers := [one for one in wanted if one not in known]):
        named = ", ".join(strangers) if wanted else "no subnet at all"
        raise ConfigurationError(
            f"subnets names {named}, of which {vpc_id} has none.",
            possible_causes=("a typing error", "a subnet of another VPC or region"),
            remedy="pass subnets='one-per-zone', or ids of "
            f"{', '.join(sorted(known)) or 'subnets of that VPC'}.",
        )
    by_zone: dict[str, str] = {}
    for one in wanted:
        zone = known[one].availability_zone
        if zone in by_zone:
            raise ConfigurationError(
                f"subnets names {by_zone[zone]} and {one}, which are both in {zone}.",
                cause="EC2 takes one subnet a zone (DuplicateSubnetsInSameZone).",
                remedy=f"name one of them; it is reached from every subnet of {vpc_id}.",
            )
        by_zone[zone] = one
    return _ordered(by_zone)


def _one_per_zone(there: Sequence[VpcSubnet]) -> tuple[Subnet, ...]:
    by_zone: dict[str, str] = {}
    for subnet in sorted(there, key=lambda s: (s.is_public, s.free_addresses == 0, s.subnet_id)):
        by_zone.setdefault(subnet.availability_zone, subnet.subnet_id)
    return _ordered(by_zone)


def _ordered(by_zone: dict[str, str]) -> tuple[Subnet, ...]:
    return tuple(
        Subnet(subnet_id=by_zone[zone], availability_zone=zone) for zone in sorted(by_zone)
    )
