"""Which of several VPC endpoints is meant. Pure: decides, and says why in its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_private_client.errors import AmbiguousVpcEndpointError, VpcEndpointUnavailableError

if TYPE_CHECKING:
    from sm_private_client.privatelink.records import VpcEndpoint

__all__ = ["nearest", "require_available", "usable"]


def require_available(vpc_endpoint: VpcEndpoint) -> VpcEndpoint:
    """Gives the VPC endpoint back if it can carry calls.

    Raises:
        VpcEndpointUnavailableError: It is in another state.
    """
    if vpc_endpoint.is_available:
        return vpc_endpoint
    state = vpc_endpoint.state
    remedies = {
        "pendingacceptance": "have the owner of the endpoint service accept it",
        "pending": "wait a few minutes until EC2 has made it",
    }
    raise VpcEndpointUnavailableError(
        f"The VPC endpoint {vpc_endpoint.vpc_endpoint_id} of {vpc_endpoint.endpoint_service} in "
        f"{vpc_endpoint.vpc_id} is in the state {state!r}, not 'available'.",
        state=state,
        remedy=f"{remedies.get(state, 'create a new one')}, or name another with vpc_endpoint=.",
    )


def usable(found: tuple[VpcEndpoint, ...], *, vpc_id: str | None) -> tuple[VpcEndpoint, ...]:
    """Narrows the VPC endpoints of one service down to the available ones of one VPC.

    Args:
        found: VPC endpoints of one endpoint service, at least one, oldest first.
        vpc_id: Our VPC; ``None`` where it is not known.

    Returns:
        Those that may be used, all in one VPC; none where ours has none.

    Raises:
        VpcEndpointUnavailableError: There are some, but none is available.
        AmbiguousVpcEndpointError: They are in several VPCs and ours is not known.
    """
    mine = tuple(v for v in found if vpc_id in (None, v.vpc_id))
    if not mine:
        return ()
    available = tuple(v for v in mine if v.is_available)
    if not available:
        require_available(mine[0])
    if len({v.vpc_id for v in available}) > 1:
        raise AmbiguousVpcEndpointError(
            f"VPC endpoints of {available[0].endpoint_service} are in several VPCs:",
            candidates=available,
            cause="which VPC this process runs in is not known.",
            remedy=(
                "pass vpc_id= (or set SM_PRIVATE_VPC_ID).",
                "pass vpc_endpoint= with the id of the one to use.",
            ),
        )
    return available


def nearest(candidates: tuple[VpcEndpoint, ...], availability_zone: str | None) -> VpcEndpoint:
    """Takes the first with a network interface in our zone, else the oldest.

    Args:
        candidates: At least one, oldest first, with their addresses.
        availability_zone: Our zone; ``None`` where it is not known.
    """
    if availability_zone is None:
        return candidates[0]
    for candidate in candidates:
        if any(a.availability_zone == availability_zone for a in candidate.addresses):
            return candidate
    return candidates[0]
