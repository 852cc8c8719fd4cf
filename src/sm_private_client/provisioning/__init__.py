"""Plans of VPC endpoints, made and removed again, and changes of their policies.

Planning and comparing change nothing. Nobody is asked here if a change is meant: the caller does.
"""

from __future__ import annotations

from sm_private_client.provisioning.destroy import destroy_plan
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
    "plan_vpc_endpoints",
    "restore_policy",
]
