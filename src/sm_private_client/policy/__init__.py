"""Policy documents of VPC endpoints and identities, and what they decide, without asking AWS.

Pure: nothing here opens a socket, reads the environment or the clock. ``EndpointPolicy`` and
``confine_to`` build documents, ``parse`` reads them, ``check`` finds what is wrong with them,
``explain`` describes them in English, ``evaluate`` decides about a call, ``diff`` compares two.
"""

from sm_private_client.policy.building import EndpointPolicy, confine_to
from sm_private_client.policy.caller import endpoint_context
from sm_private_client.policy.diff import Change, diff
from sm_private_client.policy.documents import (
    DEFAULT_ENDPOINT_POLICY,
    Condition,
    PolicyDocument,
    Principals,
    Problem,
    Statement,
    to_json,
)
from sm_private_client.policy.evaluation import (
    Decision,
    denial_message,
    evaluate,
    evaluate_at_vpc_endpoint,
    evaluate_operation,
)
from sm_private_client.policy.explaining import explain
from sm_private_client.policy.parsing import parse
from sm_private_client.policy.validation import ENDPOINT_POLICY_SIZE, check

__all__ = [
    "DEFAULT_ENDPOINT_POLICY",
    "ENDPOINT_POLICY_SIZE",
    "Change",
    "Condition",
    "Decision",
    "EndpointPolicy",
    "PolicyDocument",
    "Principals",
    "Problem",
    "Statement",
    "check",
    "confine_to",
    "denial_message",
    "diff",
    "endpoint_context",
    "evaluate",
    "evaluate_at_vpc_endpoint",
    "evaluate_operation",
    "explain",
    "parse",
    "to_json",
]
