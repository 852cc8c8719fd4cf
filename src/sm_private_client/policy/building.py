"""Build policies by sentences that read as what they mean.

Sources: SageMaker developer guide, "Connect to SageMaker AI within your VPC" (the endpoint policy)
and "Control access to the SageMaker AI API by using identity-based policies" (confinement to a
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
"""AWS services call without the caller's VPC endpoint: on its behalf, or as themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointPolicy:
    """The policy of a VPC endpoint, built statement by statement; each step gives a new one.

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
        """Adds: these principals may do these actions on these resources, if conditions are met.

        Args:
            *actions: ``sagemaker:InvokeEndpoint``, with wildcards.
            principal: ``"*"``, an ARN, an account id, or a mapping as the policy language has it.
            resource: ARNs; everything, where neither these nor names are given.
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
        """Adds: these principals may not; it wins over every ``allow``.

        Args:
            *actions: As in ``allow``.
            principal: As in ``allow``.
            resource: As in ``allow``.
            conditions: As in ``allow``.
            sid: As in ``allow``.
            **named: As in ``allow``.

        Raises:
            PolicyError: As in ``allow``.
        """
        return self._with("Deny", actions, principal, resource, conditions, sid, named)

    def allow_invoking(
        self,
        *endpoint_names: str,
        principal: str | Mapping[str, Names] = "*",
        streams: bool = True,
        jobs: bool = True,
    ) -> EndpointPolicy:
        """Adds: these principals may call these models, and nothing else.

        Args:
            *endpoint_names: Inference endpoints, with wildcards.
            principal: As in ``allow``.
            streams: Whether response streams have their own action named too; InvokeEndpoint
                covers them.
            jobs: Whether asynchronous inference may be used.
        """
        wanted = {"InvokeEndpoint": True, "InvokeEndpointWithResponseStream": streams}
        wanted["InvokeEndpointAsync"] = jobs
        actions = [INVOKING[operation][0] for operation, use in wanted.items() if use]
        return self._with(
            "Allow", actions, principal, None, None, None, {"endpoint": endpoint_names}
        )

    def allow_within(self, organization_id: str, *actions: str) -> EndpointPolicy:
        """Adds the perimeter: identities of the organization, on its resources; AWS's services.

        Args:
            organization_id: ``o-…``.
            *actions: All by default.
        """
        both = {"aws:PrincipalOrgID": organization_id, "aws:ResourceOrgID": organization_id}
        return self.allow(
            *(actions or (ANY,)),
            sid="AllowOwnIdentitiesOnOwnResources",
            conditions={"StringEquals": both},
        ).allow(
            *(actions or (ANY,)),
            sid="AllowAwsServices",
            conditions={"Bool": {"aws:PrincipalIsAWSService": "true"}},
        )

    def deny_outside(self, organization_id: str, *actions: str) -> EndpointPolicy:
        """Adds: neither identities nor resources outside of the organization, whoever allows it.

        AWS services are spared. It allows nothing by itself, as every ``deny``.

        Args:
            organization_id: ``o-…``.
            *actions: All by default.
        """
        built = self
        for key, sid in (
            ("aws:PrincipalOrgID", "DenyOtherIdentities"),
            ("aws:ResourceOrgID", "DenyOtherResources"),
        ):
            conditions = _elsewhere({key: organization_id})
            built = built.deny(*(actions or (ANY,)), sid=sid, conditions=conditions)
        return built

    def as_dict(self) -> dict[str, Any]:
        """Gives the document as JSON holds it."""
        return self.document.as_dict()

    def to_json(self, *, indent: int | None = 2) -> str:
        """Writes the document; see ``to_json`` of documents."""
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
        whom = principal
        if isinstance(principal, str) and principal != ANY:
            is_service = read_caller(principal).kind == "service"
            whom = {"Service" if is_service else "AWS": principal}
        added: dict[str, Any] = {"Effect": effect, "Principal": whom, "Action": list(actions)}
        # No names given is an empty list, which is refused, and not everything.
        everything = resource is None and not named
        added["Resource"] = ANY if everything else [*_listed(resource), *self._arns(named)]
        if sid is not None:
            added["Sid"] = sid
        if conditions:
            added["Condition"] = conditions
        statements = [*self.document.as_dict()["Statement"], added]
        made: dict[str, Any] = {"Statement": statements}
        # Without Version a variable is literal text; AWS's own example goes without.
        if VARIABLE.search(str(statements)):
            made["Version"] = CURRENT_VERSION
        return replace(self, document=parse(made))

    def _arns(self, named: Mapping[str, Names]) -> list[str]:
        partition = self.partition or partition_name(self.region)
        made = []
        for keyword, names in named.items():
            kind = keyword.replace("_", "-")
            if kind not in RESOURCE_TYPES:
                close = difflib.get_close_matches(kind, RESOURCE_TYPES, 1)
                meant = close[0].replace("-", "_") if close else "endpoint"
                raise PolicyError(
                    f"{keyword}= is no type of SageMaker's resources.",
                    cause="keywords beside those of the signature name resources by their type.",
                    remedy=f"use {meant}=, or give ARNs as resource=.",
                )
            made += [
                sagemaker_arn(
                    f"{prefix_of(kind)}{name}",
                    region=self.region,
                    account_id=self.account_id,
                    partition=partition,
                )
                for name in _listed(names)
            ]
        return made


def confine_to(
    *,
    vpc_endpoint_ids: Names = (),
    vpc_id: Names = (),
    organization_id: Names = (),
    actions: Names = "sagemaker:*",
    effect: Effect = "Allow",
) -> PolicyDocument:
    """Gives a policy of identities that confines SageMaker to VPC endpoints, or to VPCs.

    Console users are shut out, as the SageMaker guide says: their calls come from elsewhere. With
    an organization it confines to the organization's resources, wherever calls come from.

    Args:
        vpc_endpoint_ids: The VPC endpoints that calls may come through.
        vpc_id: The VPCs that calls may come from; give these or VPC endpoints.
        organization_id: The organizations (``o-…``) whose resources may be used. What AWS itself
            owns, such as its public model hub, belongs to none.
        actions: The actions that are confined.
        effect: ``Allow`` is the SageMaker guide's form: it grants the actions from there, and other
            policies may still grant them from elsewhere. ``Deny`` is for service control policies:
            nothing grants them from elsewhere, but AWS services may call, for the caller or as
            themselves.

    Raises:
        PolicyError: None of the three, or more than one, was given.
    """
    given = {
        "aws:SourceVpce": vpc_endpoint_ids,
        "aws:SourceVpc": vpc_id,
        "aws:ResourceOrgID": organization_id,
    }
    where = {key: names for key, names in given.items() if names}
    if len(where) != 1:
        raise PolicyError(
            "confine_to takes either VPC endpoints or VPCs, or an organization.",
            cause="several conditions together would ask for all of them at once.",
            remedy="give vpc_endpoint_ids=, vpc_id= or organization_id=.",
        )
    inside, outside = "AllowFromThere", "DenyFromElsewhere"
    if organization_id:
        inside, outside = "AllowOnOwnResources", "DenyOtherResources"
    statement: dict[str, Any] = {"Action": _listed(actions), "Resource": ANY, "Effect": effect}
    if effect == "Allow":
        statement["Sid"] = inside
        statement["Condition"] = {"StringEquals": where}
    else:
        statement["Sid"] = outside
        statement["Condition"] = _elsewhere(where)
    return parse({"Version": CURRENT_VERSION, "Statement": [statement]})


def _elsewhere(where: Mapping[str, Names]) -> dict[str, Any]:
    """Gives the condition of a Deny: what is not there, or not known to be, and no AWS service."""
    return {"StringNotEqualsIfExists": where, **_NOT_BY_SERVICES}


def _listed(names: Names | None) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)
