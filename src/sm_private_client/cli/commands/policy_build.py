"""``policy build``: writes the document that a sentence means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sm_private_client.cli.console import STANDARD, open_output
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import Debug  # noqa: TC001 - typer reads annotations
from sm_private_client.cli.policy_files import print_json, problems_as_json, read_policy, refuse
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
    from collections.abc import Iterable

    from sm_private_client.policy.validation import PolicyKind

__all__ = ["app"]

_ANY: Final = "*"
_CONDITION_WORDS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sentence:
    """What the options say; each list is empty where its option was not given."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    invoking: tuple[str, ...]
    within: str | None
    outside: str | None
    principals: tuple[str, ...]
    endpoint_names: tuple[str, ...]
    components: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]
    sid: str | None
    vpc_endpoint_ids: tuple[str, ...]
    vpc_ids: tuple[str, ...]

    @property
    def is_confinement(self) -> bool:
        """Whether it is a policy of identities."""
        return bool(self.vpc_endpoint_ids or self.vpc_ids)

    def refuse_contradictions(self, *, has_place: bool) -> None:
        """Refuses what is no sentence.

        Raises:
            typer.BadParameter: Nothing, or too much, is said.
        """
        subjects = (self.principals, self.endpoint_names, self.components, self.resources)
        details = (self.endpoint_names, self.components, self.resources, self.conditions, self.sid)
        organization = (self.within, self.outside)
        verbs = (self.allow, self.deny, self.invoking, *organization, self.is_confinement)
        if not any(verbs):
            raise typer.BadParameter(
                "Say what to build: --allow, --deny, --allow-invoking, --within, --outside, "
                "--confine-to-vpc-endpoint or --confine-to-vpc."
            )
        if self.allow and self.deny:
            raise typer.BadParameter(
                "--allow and --deny are two sentences; build one, and add the other with --add-to."
            )
        if self.is_confinement:
            others = (*subjects, self.conditions, self.sid, self.invoking, *organization, has_place)
            if any(others):
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
        """Adds the sentence to the policy of a VPC endpoint."""
        if self.within:
            return policy.allow_within(self.within, *self.allow)
        if self.outside:
            return policy.deny_outside(self.outside, *self.deny)
        if self.invoking:
            return policy.allow_invoking(*self.invoking, principal=_principal(self.principals))
        verb = policy.allow if self.allow else policy.deny
        named = {"endpoint": self.endpoint_names, "inference_component": self.components}
        return verb(
            *(self.allow or self.deny),
            principal=_principal(self.principals),
            resource=self.resources or None,
            conditions=_conditions(self.conditions),
            sid=self.sid,
            **{kind: names for kind, names in named.items() if names},
        )

    def confinement(self) -> PolicyDocument:
        """Gives the policy of identities."""
        return confine_to(
            vpc_endpoint_ids=self.vpc_endpoint_ids,
            vpc_id=self.vpc_ids,
            actions=self.allow or self.deny or "sagemaker:*",
            effect="Deny" if self.deny else "Allow",
        )


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
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write it there, mode 0600; - for stdout."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the document with its explanation and warnings."),
    ] = False,
    debug: Debug = False,
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
        allow=tuple(allow or ()),
        deny=tuple(deny or ()),
        invoking=tuple(allow_invoking or ()),
        within=within,
        outside=outside,
        principals=tuple(principal or ()),
        endpoint_names=tuple(endpoint_name or ()),
        components=tuple(inference_component_name or ()),
        resources=tuple(resource or ()),
        conditions=tuple(condition or ()),
        sid=sid,
        vpc_endpoint_ids=tuple(confine_to_vpc_endpoint or ()),
        vpc_ids=tuple(confine_to_vpc or ()),
    )
    sentence.refuse_contradictions(has_place=bool(region or account_id or add_to))
    kind: PolicyKind = "endpoint"
    if sentence.is_confinement:
        kind = "scp" if sentence.deny else "identity"
        document = sentence.confinement()
    else:
        before = EndpointPolicy(region=region or _ANY, account_id=account_id or _ANY)
        if add_to is not None:
            before = EndpointPolicy(
                region=before.region,
                account_id=before.account_id,
                document=parse(read_policy(add_to)),
            )
        document = sentence.added_to(before).document
    problems = check(to_json(document), kind=kind, region=region, account_id=account_id)
    refuse(problems)
    for problem in problems:
        typer.echo(str(problem), err=True)
    text = to_json(document) + "\n"
    with open_output(out) as output:
        if not as_json or out not in (None, STANDARD):
            output.write(text.encode())
        output.commit()
    if as_json:
        record = {
            "kind": kind,
            "document": document.as_dict(),
            "explanation": list(explain(document)),
            "problems": problems_as_json(problems),
        }
        print_json(record)


def _principal(given: tuple[str, ...]) -> str | dict[str, list[str]]:
    if len(given) <= 1 or _ANY in given:
        if len(given) > 1:
            raise typer.BadParameter("--principal '*' is everybody; name nobody besides.")
        return given[0] if given else _ANY
    named: dict[str, list[str]] = {}
    for one in given:
        key = "Service" if read_caller(one).kind == "service" else "AWS"
        named.setdefault(key, []).append(one)
    return named


def _conditions(given: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Reads ``OPERATOR KEY VALUE``; what is given again has several values."""
    found: dict[str, dict[str, list[str]]] = {}
    for text in given:
        words = text.split(maxsplit=_CONDITION_WORDS - 1)
        if len(words) != _CONDITION_WORDS:
            raise typer.BadParameter(
                f"--condition {text!r} is not of the form 'OPERATOR KEY VALUE', such as "
                "'StringEquals aws:PrincipalOrgID o-a1b2c3d4e5'."
            )
        operator, key, value = words
        found.setdefault(operator, {}).setdefault(key, []).append(value)
    return found
