"""Security groups and network ACLs: which connections to port 443 they let through."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.testing.places import Place
    from sm_private_client.testing.topology import Interface

__all__ = ["lets_through"]

_HTTPS: Final = 443
_EPHEMERAL: Final = 32768
"""A port that clients call from; network ACLs see the answers go there."""

_TCP: Final = frozenset({"tcp", "6", "-1", "all"})


def lets_through(backend: Any, place: Place, interface: Interface) -> bool:  # noqa: ANN401
    """Says whether a connection from a place to port 443 of an ENI is let through.

    Security groups are asked on both sides (they remember connections, so only for the first
    packet), network ACLs of both subnets in both directions, unless it is one subnet.

    Args:
        backend: moto's EC2, locked.
        place: Where the connection comes from.
        interface: Where it goes.
    """
    groups = [group.id for group in backend.enis[interface.network_interface_id].group_set]
    ingress = _rules(backend, groups, "ingress_rules")
    if not any(_allows(rule, place.address, place.security_group_ids) for rule in ingress):
        return False
    if place.subnet_id is not None:
        egress = _rules(backend, place.security_group_ids, "egress_rules")
        if not any(_allows(rule, interface.address, groups) for rule in egress):
            return False
        if place.subnet_id == interface.subnet_id:
            return True
    there = _acl_entries(backend, interface.subnet_id)
    here = [] if place.subnet_id is None else _acl_entries(backend, place.subnet_id)
    hops = [(there, False, place.address, _HTTPS), (there, True, place.address, _EPHEMERAL)]
    if place.subnet_id is not None:
        hops.append((here, True, interface.address, _HTTPS))
        hops.append((here, False, interface.address, _EPHEMERAL))
    return all(
        _passes(entries, egress=egress, address=address, port=port)
        for entries, egress, address, port in hops
    )


def _rules(backend: Any, group_ids: Iterable[str], direction: str) -> list[Any]:  # noqa: ANN401
    groups = (backend.get_security_group_from_id(group_id) for group_id in group_ids)
    return [rule for group in groups if group is not None for rule in getattr(group, direction)]


def _allows(rule: Any, address: str, group_ids: Iterable[str]) -> bool:  # noqa: ANN401
    if str(rule.ip_protocol).lower() not in _TCP:
        return False
    if rule.from_port is not None and not rule.from_port <= _HTTPS <= rule.to_port:
        return False
    if rule.source_group and rule.source_group.get("GroupId") in group_ids:
        return True
    return _covers(rule.ip_range.get("CidrIp"), address)


def _acl_entries(backend: Any, subnet_id: str) -> list[Any]:  # noqa: ANN401
    for acl in backend.network_acls.values():
        if any(association.subnet_id == subnet_id for association in acl.associations):
            return sorted(acl.network_acl_entries, key=lambda entry: int(entry.rule_number))
    return []


def _passes(entries: list[Any], *, egress: bool, address: str, port: int) -> bool:
    """The first entry that fits decides; without one packets are dropped."""
    for entry in entries:
        if (str(entry.egress).lower() == "true") is not egress:
            continue
        if str(entry.protocol).lower() not in _TCP or not _covers(entry.cidr_block, address):
            continue
        first, last = entry.port_range_from, entry.port_range_to
        has_ports = str(entry.protocol) in ("6", "tcp") and first is not None
        if has_ports and not int(first) <= port <= int(last):
            continue
        return bool(entry.rule_action == "allow")
    return False


def _covers(cidr: str | None, address: str) -> bool:
    return cidr is not None and ipaddress.ip_address(address) in ipaddress.ip_network(
        cidr, strict=False
    )
