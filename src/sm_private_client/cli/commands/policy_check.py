"""``policy check``, ``explain``, ``simulate``: what a document says, without asking AWS."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import print_json, read_text
from sm_private_client.cli.context import EXIT_STATUS, cli_context
from sm_private_client.errors import ConfigurationError, PolicyError
from sm_private_client.policy import check as problems_of
from sm_private_client.policy import evaluate, parse
from sm_private_client.policy import explain as lines_of
from sm_private_client.policy.actions import is_known, suggestion
from sm_private_client.policy.caller import read_caller
from sm_private_client.policy.validation import PolicyKind

__all__ = ["app"]

_CHECK_STATUS: Final = "Exit status: 0 no errors (warnings count as none), 1 errors, 2 wrong usage."
_SIMULATE_STATUS: Final = "Exit status: 0 allowed, 1 denied, 2 could not tell, or wrong usage."

app = typer.Typer(rich_markup_mode=None)

_AccountId = Annotated[
    str | None,
    typer.Option("--account-id", metavar="ID", help="The account of the resources."),
]


@app.command(epilog=_CHECK_STATUS)
def check(
    context: typer.Context,
    *,
    file: options.PolicyFile,
    kind: Annotated[
        PolicyKind, typer.Option("--kind", help="What it will be attached to.")
    ] = "endpoint",
    endpoint_service: Annotated[
        str | None,
        typer.Option(
            "--endpoint-service",
            metavar="NAME",
            help="The VPC endpoint's service, or its end: sagemaker.runtime.",
        ),
    ] = None,
    region: options.Region = None,
    account_id: _AccountId = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Look a policy over before AWS does: what is refused, and what is likely not meant.

    Asks nobody. --region and --account-id say where calls are made; without them ARNs are not
    compared with that.

    \b
    Examples:
      sm-private-client policy check policy.json
      sm-private-client policy check policy.json --endpoint-service sagemaker.runtime
      sm-private-client policy check - --kind scp --json < scp.json
    """
    text = read_text(file)
    with cli_context(context).usage_errors(ConfigurationError):
        problems = problems_of(
            text,
            kind=kind,
            endpoint_service=endpoint_service,
            region=region,
            account_id=account_id,
        )
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    if as_json:
        records = [asdict(problem) for problem in problems]
        print_json({"errors": errors, "warnings": warnings, "problems": records})
    else:
        for problem in problems:
            typer.echo(str(problem))
        counts = ((errors, "error"), (warnings, "warning"))
        words = [f"{count} {noun}{'s' * (count > 1)}" for count, noun in counts if count]
        typer.echo(f"{', '.join(words) or 'No problems'}.")
    if errors:
        raise typer.Exit(1)


@app.command(epilog=EXIT_STATUS)
def explain(
    context: typer.Context,
    *,
    file: options.PolicyFile,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Say in one English line what each statement of a policy really does.

    \b
    Examples:
      sm-private-client policy explain policy.json
      sm-private-client policy build --allow-invoking churn-xgb | sm-private-client policy explain -
    """
    document = parse(read_text(file))
    lines = lines_of(document)
    if as_json:
        pairs = enumerate(zip(document.statements, lines, strict=True))
        print_json([{"statement": n, "sid": s.sid, "text": line} for n, (s, line) in pairs])
    else:
        for line in lines:
            typer.echo(line)


@app.command(epilog=_SIMULATE_STATUS)
def simulate(
    context: typer.Context,
    *,
    file: options.PolicyFile,
    principal: Annotated[
        str,
        typer.Option("--principal", metavar="ARN", help="Who calls: a user, role, session, …"),
    ],
    action: Annotated[
        str,
        typer.Option("--action", metavar="NAME", help="Such as sagemaker:InvokeEndpoint."),
    ],
    resource: Annotated[
        str, typer.Option("--resource", metavar="ARN", help="On what; * for what has none.")
    ],
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--context",
            metavar="KEY=VALUE",
            help="A condition key of the call; may be repeated, a key with several values too.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Judge one call by a policy: allowed or denied, by which statement, and why.

    Only this one policy is judged. AWS asks the caller's own policies too, and all must allow.
    Nothing about the network is made up: give aws:SourceVpce as --context.

    \b
    Examples:
      sm-private-client policy simulate policy.json \\
        --principal arn:aws:iam::123456789012:role/ml \\
        --action sagemaker:InvokeEndpoint \\
        --resource arn:aws:sagemaker:us-east-1:123456789012:endpoint/myEndpoint \\
        --context aws:SourceVpce=vpce-0fe5b17a0707d6abc
    """
    _refuse_typing_errors(principal, action)
    values: dict[str, list[str]] = {}
    for key, value in options.read_pairs(keys, "--context"):
        values.setdefault(key.lower(), []).append(value)  # the case of a key does not matter
    text = read_text(file)
    with cli_context(context).usage_errors(PolicyError):
        decision = evaluate(
            text, principal=principal, action=action, resource=resource, context=values
        )
    if as_json:
        statement = decision.statement
        print_json(
            {
                "allowed": decision.allowed,
                "effect": decision.effect,
                "statement": decision.index,
                "sid": statement.sid if statement is not None else None,
                "why": decision.why,
            }
        )
    else:
        typer.echo("allowed" if decision.allowed else "denied")
        typer.echo(f"  {decision.why}")
    if not decision.allowed:
        raise typer.Exit(1)


def _refuse_typing_errors(principal: str, action: str) -> None:
    """Refuse what every policy would deny for a reason that the answer would not show."""
    service, colon, verb = action.partition(":")
    if not (service and colon and verb) or "*" in action or "?" in action:
        raise typer.BadParameter(
            f"--action {action!r} is not one action, such as sagemaker:InvokeEndpoint."
        )
    if service.lower() == "sagemaker" and not is_known(action):
        similar = suggestion(action)
        hint = f"; did you mean {similar}?" if similar else "."
        raise typer.BadParameter(f"--action {action!r} is no action of SageMaker{hint}")
    if principal.startswith("arn:") and read_caller(principal).kind == "other":
        raise typer.BadParameter(
            f"--principal {principal!r} is no ARN of an identity, such as "
            "arn:aws:iam::123456789012:role/ml."
        )
