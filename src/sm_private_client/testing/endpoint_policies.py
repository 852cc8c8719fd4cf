"""Attached endpoint policies, in force on the listeners of their VPC endpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from sm_private_client.policy.actions import actions_of_operation, resource_types
from sm_private_client.policy.caller import endpoint_context
from sm_private_client.policy.evaluation import denial_message, evaluate, evaluate_operation
from sm_private_client.testing.aws_errors import denied
from sm_private_client.testing.signatures import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.policy.caller import ContextValue
    from sm_private_client.policy.evaluation import Decision
    from sm_private_client.testing.caller import Caller
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.http_connection import Request
    from sm_private_client.testing.ingress import Ingress

__all__ = ["EndpointPolicies"]

_S3_ACTIONS: Final = {
    "DELETE": ("s3:DeleteBucket", "s3:DeleteObject"),
    "GET": ("s3:ListBucket", "s3:GetObject"),
    "HEAD": ("s3:ListBucket", "s3:GetObject"),
    "POST": ("s3:DeleteObject", "s3:PutObject"),
    "PUT": ("s3:CreateBucket", "s3:PutObject"),
}
"""By method: the usual action on a bucket, and on an object."""


class EndpointPolicies:
    """Judges requests that come through VPC endpoints.

    Attributes:
        organization_id: What ``aws:PrincipalOrgID`` is; ``None``: the account is in none.
    """

    def __init__(self, *, control: ControlPlane, caller: Caller) -> None:
        self.organization_id: str | None = None
        self._control = control
        self._caller = caller

    def check_sagemaker(
        self, ingress: Ingress, operation: str, request: Request, parameters: Mapping[str, Any]
    ) -> None:
        """Judge a call of SageMaker's services, whose parameters name its resources.

        Raises:
            AwsError: The VPC endpoint's policy does not let it pass.
        """
        document, principal = self._document(ingress), self._principal(request)
        if document is None or principal is None:
            return
        # The action that errors name; a response stream is authorized as InvokeEndpoint.
        action = actions_of_operation(operation)[-1]
        for resource in self._resources(action, parameters, ingress.region):
            decision = evaluate_operation(
                document,
                operation_name=operation,
                principal=principal,
                resource=resource,
                context=self._context(ingress),
            )
            _require(decision, "sagemaker", principal, action, resource)

    def check_other_service(
        self, ingress: Ingress, service: str, operation: str, request: Request
    ) -> None:
        """Judge a call of another service; only S3's resources differ.

        Raises:
            AwsError: The VPC endpoint's policy does not let it pass.
        """
        document, principal = self._document(ingress), self._principal(request)
        if document is None or principal is None:
            return
        action, resource = f"{service}:{operation}", "*"
        if service == "s3":
            action, resource = _s3_call(request, self._control.partition)
        context = self._context(ingress)
        decision = evaluate(
            document, principal=principal, action=action, resource=resource, context=context
        )
        _require(decision, service, principal, action, resource)

    def _document(self, ingress: Ingress) -> str | None:
        """Return the attached document, unless it is the one that allows everything."""
        if ingress.vpc_endpoint_id is None:
            return None
        with self._control.ec2(ingress.region) as backend:
            attached_to = backend.vpc_end_points.get(ingress.vpc_endpoint_id)
            if attached_to is None:
                return None
            document = str(attached_to.policy_document)
            return None if document == json.dumps(attached_to.DEFAULT_POLICY) else document

    def _principal(self, request: Request) -> str | None:
        scope = scope_of(request)
        known = self._control.find_credentials(scope.access_key_id) if scope is not None else None
        return known.principal_arn if known is not None else None

    def _context(self, ingress: Ingress) -> dict[str, ContextValue]:
        context = endpoint_context(
            vpc_endpoint_id=ingress.vpc_endpoint_id or "",
            vpc_id=ingress.vpc_id,
            source_ip=self._caller.location.address,
        )
        if self.organization_id is not None:
            context["aws:PrincipalOrgID"] = self.organization_id
            context["aws:ResourceOrgID"] = self.organization_id
        return context

    def _resources(self, action: str, parameters: Mapping[str, Any], region: str) -> list[str]:
        """Return the ARNs of what a call names; ``*`` if that is nothing."""
        arns = []
        for kind in resource_types(action) or ():
            stem = "".join(word.capitalize() for word in kind.split("-"))
            arn = parameters.get(f"{stem}Arn")
            name = parameters.get(f"{stem}Name") or parameters.get(f"{stem}Id")
            if isinstance(arn, str):
                arns.append(arn)
            elif isinstance(name, str):
                prefix = f"arn:{self._control.partition}:sagemaker:{region}"
                arns.append(f"{prefix}:{self._control.account_id}:{kind}/{name}")
        return arns or ["*"]


def _require(decision: Decision, service: str, principal: str, action: str, resource: str) -> None:
    if not decision.allowed:
        message = denial_message(decision, principal=principal, action=action, resource=resource)
        raise denied(service, message)


def _s3_call(request: Request, partition: str) -> tuple[str, str]:
    bucket, _, key = unquote(request.path).removeprefix("/").partition("/")
    if not bucket:
        return "s3:ListAllMyBuckets", "*"
    on_bucket, on_object = _S3_ACTIONS.get(request.method, ("s3:ListBucket", "s3:GetObject"))
    if key:
        return on_object, f"arn:{partition}:s3:::{bucket}/{key}"
    return on_bucket, f"arn:{partition}:s3:::{bucket}"
