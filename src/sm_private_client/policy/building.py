"""Builders of policies, whose calls read as what they mean.

Sources: SageMaker developer guide, "Connect to SageMaker AI within your VPC" (the endpoint policy)
and "Control access to the SageMaker AI API by using identity-based policies" (restriction to a
VPC); aws-samples/data-perimeter-policy-examples (the organization's perimeter, the exceptions).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sm_private_client.errors import PolicyError
from sm_private_client.policy.actions import INVOKING, RESOURCE_TYPES, prefix_of
from sm_private_client.policy.arns import ANY, partition_name, sagemaker_arn
from sm_private_client.policy.caller import read_caller
from sm_private_client.policy.documents import CURRENT_VERSION, Effect, PolicyDocument, to_json
from sm_private_client.policy.matching import VARIABLE
from sm_private_client.policy.parsing import parse

__all__ = ["EndpointPolicy", "confine_to"]

Conditions = Mapping[str, Mapping[str, Any]]
Names = str | Sequence[str]

_EMPTY: Final = PolicyDocument(statements=(), version=None)
_NOT_BY_SERVICES: Final = {
    "BoolIfExists": {"aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"}
}
"""AWS services do not call through the caller's VPC endpoint, on its behalf or as themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointPolicy:
    """The policy of a VPC endpoint, built statement by statement; each step returns a new one.

    ::

        EndpointPolicy(region="us-east-1", account_id="123456789012").allow(
            "sagemaker:InvokeEndpoint", endpoint="myEndpoint", principal="*"
        )

    Attributes:
        region: Of the ARNs; any by default.
        account_id: Of the ARNs; any by default.
        partition: Of the ARNs; by default the region's.
        document: What was built so far.
    """

    region: str = ANY
    account_id: str = ANY
    partition: str | None = None
    document: PolicyDocument = _EMPTY

    def allow(
        self,
        *actions: str,
        principal: str | Mapping[str, Names] = "*",
        resource: Names | None = None,
        conditions: Conditions | None = None,
        sid: str | None = None,
        **named: Names,
    ) -> EndpointPolicy:
        """Add: these principals may do these actions on these resources, if conditions are met.

        Args:
            *actions: ``sagemaker:InvokeEndpoint``, with wildcards.
            principal: ``"*"``, an ARN, an account id, or a mapping as the policy language has it.
            resource: ARNs; everything, if neither these nor names are given.
            conditions: As the policy language has them.
            sid: A name for the statement.
            **named: Names by type of resource, with wildcards: ``endpoint="myEndpoint"``,
                ``inference_component=["a", "b"]``.

        Raises:
            PolicyError: There is no such type of resource, or the statement breaks the grammar.
        """
        return self._with("Allow", actions, principal, resource, conditions, sid, named)

    def deny(
        self,
        *actions: str,
        principal: str | Mapping[str, Names] = "*",
        resource: Names | None = None,
        conditions: Conditions | None = None,
        sid: str | None = None,
        **named: Names,
    ) -> EndpointPolicy:
        """Add: these principals may not; it wins over every ``allow``, and takes its arguments."""
        return self._with("Deny", actions, principal, resource, conditions, sid, named)

    def allow_invoking(
        self,
        *endpoint_names: str,
        principal: str | Mapping[str, Names] = "*",
        streams: bool = True,
        jobs: bool = True,
    ) -> EndpointPolicy:
        """Add: these principals may call these models, and nothing else.

        Args:
            *endpoint_names: Inference endpoints, with wildcards.
            principal: As in ``allow``.
            streams: Whether response streams have their own action named too; InvokeEndpoint
                covers them.
            jobs: Whether asynchronous inference may be used.
        """
        operations = ["InvokeEndpoint"]
        operations += ["InvokeEndpointWithResponseStream"] if streams else []
        operations += ["InvokeEndpointAsync"] if jobs else []
        actions = [INVOKING[operation][0] for operation in operations]
        return self.allow(*actions, principal=principal, endpoint=endpoint_names)

    def allow_within(self, organization_id: str, *actions: str) -> EndpointPolicy:
        """Add the perimeter: identities of the organization, on its resources; AWS's services.

        Args:
            organization_id: ``o-…``.
            *actions: All by default.
        """
        own = {"aws:PrincipalOrgID": organization_id, "aws:ResourceOrgID": organization_id}
        services = {"aws:PrincipalIsAWSService": "true"}
        actions = actions or (ANY,)
        return self.allow(
            *actions, sid="AllowOwnIdentitiesOnOwnResources", conditions={"StringEquals": own}
        ).allow(*actions, sid="AllowAwsServices", conditions={"Bool": services})

    def deny_outside(self, organization_id: str, *actions: str) -> EndpointPolicy:
        """Add: neither identities nor resources outside of the organization, whoever allows it.

        AWS services are exempt. It allows nothing by itself, as every ``deny``.

        Args:
            organization_id: ``o-…``.
            *actions: All by default.
        """
        actions = actions or (ANY,)
        identities = _elsewhere({"aws:PrincipalOrgID": organization_id})
        resources = _elsewhere({"aws:ResourceOrgID": organization_id})
        return self.deny(*actions, sid="DenyOtherIdentities", conditions=identities).deny(
            *actions, sid="DenyOtherResources", conditions=resources
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the document as JSON holds it."""
        return self.document.as_dict()

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return the document as JSON text; see ``policy.to_json``."""
        return to_json(self.document, indent=indent)

    def _with(
        self,
        effect: Effect,
        actions: Sequence[str],
        principal: str | Mapping[str, Names],
        resource: Names | None,
        conditions: Conditions | None,
        sid: str | None,
        named: Mapping[str, Names],
    ) -> EndpointPolicy:
        if isinstance(principal, str) and principal != ANY:
            is_service = read_caller(principal).kind == "service"
            principal = {"Service" if is_service else "AWS": principal}
        # An empty list of names is refused: it does not mean everything.
        everything = resource is None and not named
        statement: dict[str, Any] = {
            "Effect": effect,
            "Principal": principal,
            "Action": list(actions),
            "Resource": ANY if everything else [*_listed(resource), *self._arns(named)],
        }
        if sid is not None:
            statement["Sid"] = sid
        if conditions:
            statement["Condition"] = conditions
        document: dict[str, Any] = {"Statement": [*self.document.as_dict()["Statement"], statement]}
        # Without Version a variable is literal text; AWS's own example has none.
        if VARIABLE.search(str(document)):
            document["Version"] = CURRENT_VERSION
        return replace(self, document=parse(document))

    def _arns(self, named: Mapping[str, Names]) -> list[str]:
        partition = self.partition or partition_name(self.region)
        arns = []
        for keyword, names in named.items():
            kind = keyword.replace("_", "-")
            if kind not in RESOURCE_TYPES:
                likely = difflib.get_close_matches(kind, RESOURCE_TYPES, 1) or ["endpoint"]
                raise PolicyError(
                    f"{keyword}= is no type of SageMaker's resources.",
                    cause="keywords beside those of the signature name resources by their type.",
                    remedy=f"use {likely[0].replace('-', '_')}=, or give ARNs as resource=.",
                )
            arns += [
                sagemaker_arn(
                    f"{prefix_of(kind)}{name}",
                    region=self.region,
                    account_id=self.account_id,
                    partition=partition,
                )
                for name in _listed(names)
            ]
        return arns


def confine_to(
    *,
    vpc_endpoint_ids: Names = (),
    vpc_id: Names = (),
    organization_id: Names = (),
    actions: Names = "sagemaker:*",
    effect: Effect = "Allow",
) -> PolicyDocument:
    """Return a policy of identities that restricts SageMaker to VPC endpoints, or to VPCs.

    Console users are shut out, as the SageMaker guide says: their calls come from elsewhere. With
    an organization it restricts to the organization's resources, wherever calls come from.

    Args:
        vpc_endpoint_ids: The VPC endpoints that calls may come through.
        vpc_id: The VPCs that calls may come from; give these or VPC endpoints.
        organization_id: The organizations (``o-…``) whose resources may be used. What AWS itself
            owns, such as its public model hub, belongs to none.
        actions: The actions that are restricted.
        effect: ``Allow`` is the SageMaker guide's form: it grants the actions from there, and other
            policies may still grant them from elsewhere. ``Deny`` is for service control policies:
            nothing grants them from elsewhere, but AWS services may call, for the caller or as
            themselves.

    Raises:
        PolicyError: None of the three, or more than one, was given.
    """
    keys = {
        "aws:SourceVpce": vpc_endpoint_ids,
        "aws:SourceVpc": vpc_id,
        "aws:ResourceOrgID": organization_id,
    }
    inside = {key: names for key, names in keys.items() if names}
    if len(inside) != 1:
        raise PolicyError(
            "confine_to takes either VPC endpoints or VPCs, or an organization.",
            cause="several conditions together would ask for all of them at once.",
            remedy="give vpc_endpoint_ids=, vpc_id= or organization_id=.",
        )
    if effect == "Allow":
        sid = "AllowOnOwnResources" if organization_id else "AllowFromThere"
    else:
        sid = "DenyOtherResources" if organization_id else "DenyFromElsewhere"
    statement = {
        "Sid": sid,
        "Effect": effect,
        "Action": _listed(actions),
        "Resource": ANY,
        "Condition": {"StringEquals": inside} if effect == "Allow" else _elsewhere(inside),
    }
    return parse({"Version": CURRENT_VERSION, "Statement": [statement]})


def _elsewhere(inside: Mapping[str, Names]) -> dict[str, Any]:
    """Return the condition of a Deny: not inside, or not known to be, and no AWS service."""
    return {"StringNotEqualsIfExists": inside, **_NOT_BY_SERVICES}


def _listed(names: Names | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
