"""Plan VPC endpoints, make them, take them away, and change their policies.

A look changes nothing. Nobody is asked here whether a change is meant: that is the caller's.
"""

from __future__ import annotations

from sm_private_client.provisioning.destroy import destroy_plan, made_by_plan
from sm_private_client.provisioning.plan import Plan
from sm_private_client.provisioning.planning import list_vpc_endpoints, plan_vpc_endpoints
from sm_private_client.provisioning.policy_changes import (
    PolicyChange,
    apply_policy,
    compare_kept_policy,
    compare_policy,
    restore_policy,
)

__all__ = [
    "Plan",
    "PolicyChange",
    "apply_policy",
    "compare_kept_policy",
    "compare_policy",
    "destroy_plan",
    "list_vpc_endpoints",
    "made_by_plan",
    "plan_vpc_endpoints",
    "restore_policy",
]
