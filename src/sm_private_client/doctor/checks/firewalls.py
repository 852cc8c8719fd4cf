"""Whether security groups and network ACLs let port 443 through. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sm_private_client.doctor.account_facts import (
        AclEntry,
        GroupRule,
        NetworkAcl,
        SecurityGroup,
    )

__all__ = ["blocked_directions", "lets_in"]

_HTTPS: Final = 443
_ANSWERS: Final = 40000
"""A port that answers go to: Linux takes 32768 to 60999, and AWS asks to allow 1024 to 65535."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def lets_in(
    groups: Iterable[SecurityGroup], *, sources: Iterable[str], own_group_ids: Iterable[str]
) -> bool | None:
    """Says whether the groups let TCP to port 443 in from us.

    Args:
        groups: The groups of the VPC endpoint; each adds to what is let in.
        sources: Where our packets come from, as CIDRs; the VPC's where our address is not known,
            and then a part of it is enough.
        own_group_ids: Our own groups.

    Returns:
        ``None`` where a rule names a group or prefix list and ours are not known.
    """
    own = set(own_group_ids)
    nets = [ipaddress.ip_network(source) for source in sources]
    open_rules = [rule for group in groups for rule in group.rules if _covers(rule)]
    for rule in open_rules:
        if own & set(rule.group_ids) or any(_overlaps(cidr, nets) for cidr in rule.cidrs):
            return True
    unclear = any(rule.prefix_list_ids or (rule.group_ids and not own) for rule in open_rules)
    return None if unclear or (open_rules and not nets) else False


def _covers(rule: GroupRule) -> bool:
    if rule.protocol == "-1":
        return True
    if rule.protocol not in ("tcp", "6"):
        return False
    first, last = rule.from_port, rule.to_port
    return first is None or last is None or first <= _HTTPS <= last


def _overlaps(cidr: str, nets: list[Network]) -> bool:
    allowed = ipaddress.ip_network(cidr)
    return any(net.version == allowed.version and net.overlaps(allowed) for net in nets)


def blocked_directions(
    acl: NetworkAcl, *, sources: Iterable[str]
) -> tuple[Literal["inbound", "outbound"], ...]:
    """Gives the directions in which a network ACL drops the traffic of our calls.

    Inbound is port 443 from us; outbound are the answers to our ephemeral ports, because network
    ACLs keep no state.
    """
    nets = [ipaddress.ip_network(source) for source in sources]
    blocked: list[Literal["inbound", "outbound"]] = []
    for net in nets:
        if not _allows(acl.entries, net, egress=False, port=_HTTPS):
            blocked.append("inbound")
        if not _allows(acl.entries, net, egress=True, port=_ANSWERS):
            blocked.append("outbound")
    return tuple(dict.fromkeys(blocked))


def _allows(entries: tuple[AclEntry, ...], net: Network, *, egress: bool, port: int) -> bool:
    for entry in sorted(entries, key=lambda e: e.number):
        if entry.egress == egress and _matches(entry, net, port):
            return entry.allow
    return False


def _matches(entry: AclEntry, net: Network, port: int) -> bool:
    about = ipaddress.ip_network(entry.cidr)
    if entry.protocol not in ("-1", "6", "tcp") or about.version != net.version:
        return False
    within = net.subnet_of(about)  # type: ignore[arg-type] # of the same version
    first, last = entry.from_port, entry.to_port
    return within and (first is None or last is None or first <= port <= last)
