"""``policy build``: writes the document that the options describe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import STANDARD, open_output, print_json, read_text
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.errors import PolicyError
from sm_private_client.policy import (
    EndpointPolicy,
    PolicyDocument,
    check,
    confine_to,
    explain,
    parse,
    to_json,
)
from sm_private_client.policy.caller import read_caller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sm_private_client.policy import Problem
    from sm_private_client.policy.validation import PolicyKind

__all__ = ["app"]

_ANY: Final = "*"
_CONDITION_WORDS: Final = 3


app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def build(
    context: typer.Context,
    *,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="ACTION", help="These may do it; may be repeated."),
    ] = None,
    deny: Annotated[
        list[str] | None,
        typer.Option("--deny", metavar="ACTION", help="These may not; may be repeated."),
    ] = None,
    allow_invoking: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-invoking",
            metavar="NAME",
            help="This inference endpoint may be called, streams and jobs included; repeatable.",
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="o-…",
            help="The organization's identities, on its resources; and AWS services.",
        ),
    ] = None,
    outside: Annotated[
        str | None,
        typer.Option(
            "--outside",
            metavar="o-…",
            help="Deny identities and resources of others; AWS services are spared.",
        ),
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            "--principal",
            metavar="ARN|ID|*",
            help="Who: an ARN, an account, a service; everybody by default; may be repeated.",
        ),
    ] = None,
    endpoint_name: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint-name", metavar="NAME", help="On this inference endpoint; repeatable."
        ),
    ] = None,
    inference_component_name: Annotated[
        list[str] | None,
        typer.Option(
            "--inference-component-name",
            metavar="NAME",
            help="On this inference component; may be repeated.",
        ),
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(
            "--resource", metavar="ARN", help="On this; everything by default; may be repeated."
        ),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="'OPERATOR KEY VALUE'",
            help="Only if this is met; may be repeated.",
        ),
    ] = None,
    sid: Annotated[
        str | None, typer.Option("--sid", metavar="NAME", help="A name for the statement.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME", help="Of the ARNs; any by default.")
    ] = None,
    account_id: Annotated[
        str | None, typer.Option("--account-id", metavar="ID", help="Of the ARNs; any by default.")
    ] = None,
    add_to: Annotated[
        str | None,
        typer.Option("--add-to", metavar="FILE|-", help="A document to add the statement to."),
    ] = None,
    confine_to_vpc_endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--confine-to-vpc-endpoint",
            metavar="vpce-…",
            help="For identities: SageMaker only through this; may be repeated.",
        ),
    ] = None,
    confine_to_vpc: Annotated[
        list[str] | None,
        typer.Option(
            "--confine-to-vpc",
            metavar="vpc-…",
            help="For identities: SageMaker only from this; may be repeated.",
        ),
    ] = None,
    out: options.OutFile = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the document with its explanation and warnings."),
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Write the policy document that a sentence means, and look it over.

    One run makes one statement; --add-to adds it to others. With --confine-to-… it is a policy of
    identities: with --deny for service control policies, else one that allows. Nothing is written
    if AWS would refuse it; warnings go to stderr.

    \b
    Examples:
      sm-private-client policy build --allow sagemaker:InvokeEndpoint --endpoint-name myEndpoint
      sm-private-client policy build --allow-invoking churn-xgb --region us-east-1 --out policy.json
      sm-private-client policy build --confine-to-vpc-endpoint vpce-0fe5b17a0707d6abc
      sm-private-client policy build --confine-to-vpc vpc-0d2a3b4c5d6e7f801 --deny 'sagemaker:*'
    """
    sentence = _Sentence(
        allow=allow or [],
        deny=deny or [],
        invoking=allow_invoking or [],
        within=within,
        outside=outside,
        principals=principal or [],
        endpoint_names=endpoint_name or [],
        components=inference_component_name or [],
        resources=resource or [],
        conditions=condition or [],
        sid=sid,
        vpc_endpoint_ids=confine_to_vpc_endpoint or [],
        vpc_ids=confine_to_vpc or [],
    )
    sentence.check(has_place=bool(region or account_id or add_to))
    kind: PolicyKind = "endpoint"
    if sentence.is_confinement:
        kind = "scp" if sentence.deny else "identity"
        document = sentence.confinement()
    else:
        policy = EndpointPolicy(region=region or _ANY, account_id=account_id or _ANY)
        if add_to is not None:
            policy = replace(policy, document=parse(read_text(add_to)))
        document = sentence.added_to(policy).document
    problems = check(to_json(document), kind=kind, region=region, account_id=account_id)
    _refuse_errors(problems)
    for problem in problems:
        typer.echo(str(problem), err=True)
    with open_output(out) as output:
        if not as_json or out not in (None, STANDARD):
            output.write(f"{to_json(document)}\n".encode())
        output.commit()
    if as_json:
        print_json(
            {
                "kind": kind,
                "document": document.as_dict(),
                "explanation": explain(document),
                "problems": [asdict(problem) for problem in problems],
            }
        )


def _refuse_errors(problems: Sequence[Problem]) -> None:
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        listed = "".join(f"\n  {one.place or 'document'}: {one.message}" for one in errors)
        raise PolicyError(
            f"The policy could not be used:{listed}",
            place=errors[0].place,
            remedy=tuple(dict.fromkeys(one.remedy for one in errors)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sentence:
    """What the options say: one statement; a list is empty if its option was not given."""

    allow: list[str]
    deny: list[str]
    invoking: list[str]
    within: str | None
    outside: str | None
    principals: list[str]
    endpoint_names: list[str]
    components: list[str]
    resources: list[str]
    conditions: list[str]
    sid: str | None
    vpc_endpoint_ids: list[str]
    vpc_ids: list[str]

    @property
    def is_confinement(self) -> bool:
        """True if it is a policy of identities."""
        return bool(self.vpc_endpoint_ids or self.vpc_ids)

    def check(self, *, has_place: bool) -> None:
        """Check that the options go together.

        Raises:
            typer.BadParameter: They say nothing, or contradict each other.
        """
        details = (self.endpoint_names, self.components, self.resources, self.conditions, self.sid)
        organization = (self.within, self.outside)
        if not any((self.allow, self.deny, self.invoking, *organization, self.is_confinement)):
            raise typer.BadParameter(
                "Say what to build: --allow, --deny, --allow-invoking, --within, --outside, "
                "--confine-to-vpc-endpoint or --confine-to-vpc."
            )
        if self.allow and self.deny:
            raise typer.BadParameter(
                "--allow and --deny are two sentences; build one, and add the other with --add-to."
            )
        if self.is_confinement:
            if any((*details, self.principals, self.invoking, *organization, has_place)):
                raise typer.BadParameter(
                    "--confine-to-vpc-endpoint and --confine-to-vpc go with --allow or --deny "
                    "only: whoever has the policy is meant, and every resource."
                )
        elif self.invoking and any((*details, self.allow, self.deny, *organization)):
            raise typer.BadParameter("--allow-invoking goes with --principal only.")
        elif self.within and any((*details, self.principals, self.deny, self.outside)):
            raise typer.BadParameter("--within goes with --allow only.")
        elif self.outside and any((*details, self.principals, self.allow)):
            raise typer.BadParameter("--outside goes with --deny only.")

    def added_to(self, policy: EndpointPolicy) -> EndpointPolicy:
        """Return the policy of a VPC endpoint with the statement added."""
        if self.within:
            return policy.allow_within(self.within, *self.allow)
        if self.outside:
            return policy.deny_outside(self.outside, *self.deny)
        principal = _principal(self.principals)
        if self.invoking:
            return policy.allow_invoking(*self.invoking, principal=principal)
        verb = policy.allow if self.allow else policy.deny
        named = {"endpoint": self.endpoint_names, "inference_component": self.components}
        return verb(
            *(self.allow or self.deny),
            principal=principal,
            resource=self.resources or None,
            conditions=_conditions(self.conditions),
            sid=self.sid,
            **{kind: names for kind, names in named.items() if names},
        )

    def confinement(self) -> PolicyDocument:
        """Return the policy of identities."""
        return confine_to(
            vpc_endpoint_ids=self.vpc_endpoint_ids,
            vpc_id=self.vpc_ids,
            actions=self.allow or self.deny or "sagemaker:*",
            effect="Deny" if self.deny else "Allow",
        )


def _principal(names: list[str]) -> str | dict[str, list[str]]:
    if _ANY in names and len(names) > 1:
        raise typer.BadParameter("--principal '*' is everybody; name nobody besides.")
    if len(names) <= 1:
        return names[0] if names else _ANY
    principals: dict[str, list[str]] = {}
    for name in names:
        key = "Service" if read_caller(name).kind == "service" else "AWS"
        principals.setdefault(key, []).append(name)
    return principals


def _conditions(texts: list[str]) -> dict[str, dict[str, list[str]]]:
    """Read ``OPERATOR KEY VALUE``; a key given again has several values."""
    conditions: dict[str, dict[str, list[str]]] = {}
    for text in texts:
        words = text.split(maxsplit=2)
        if len(words) != _CONDITION_WORDS:
            raise typer.BadParameter(
                f"--condition {text!r} is not of the form 'OPERATOR KEY VALUE', such as "
                "'StringEquals aws:PrincipalOrgID o-a1b2c3d4e5'."
            )
        operator, key, value = words
        conditions.setdefault(operator, {}).setdefault(key, []).append(value)
    return conditions
