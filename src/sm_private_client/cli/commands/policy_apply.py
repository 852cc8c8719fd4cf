"""``policy apply`` and ``policy restore``: change the policy of a VPC endpoint, and back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import confirm, print_json, read_text, require_terminal
from sm_private_client.cli.context import EXIT_STATUS, cli_context
from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning import (
    apply_policy,
    compare_kept_policy,
    compare_policy,
    restore_policy,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.provisioning import PolicyChange

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


def _vpc_endpoint_id(text: str) -> str:
    if re.fullmatch(r"vpce-[0-9a-z]+", text) is None:
        raise typer.BadParameter(f"{text!r} is not the id of a VPC endpoint, vpce-….")
    return text


_VpcEndpointId = Annotated[
    str,
    typer.Argument(
        metavar="VPC_ENDPOINT",
        help="The id, vpce-….",
        show_default=False,
        callback=_vpc_endpoint_id,
    ),
]
_KeepIn = Annotated[
    str,
    typer.Option("--keep-in", metavar="DIR", help="Where documents are kept that are replaced."),
]


@app.command(epilog=EXIT_STATUS)
def apply(
    context: typer.Context,
    *,
    vpc_endpoint: _VpcEndpointId,
    file: options.PolicyFile,
    keep_in: _KeepIn = ".",
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Give a VPC endpoint a policy, once it is known what that changes.

    Shows which rights are given (+) and taken (-), asks, keeps the old document in a file, and
    says where. AWS takes minutes to enforce the change. Needs ec2:DescribeVpcEndpoints and
    ec2:ModifyVpcEndpoint.

    \b
    Examples:
      sm-private-client policy apply vpce-0fe5b17a0707d6abc policy.json --dry-run
      sm-private-client policy apply vpce-0fe5b17a0707d6abc policy.json
      sm-private-client policy apply vpce-0fe5b17a0707d6abc - --yes < policy.json
    """
    cli = cli_context(context)
    if not (yes or dry_run):
        require_terminal(cli, f"change the policy of {vpc_endpoint}")
    text, directory = read_text(file), _directory(keep_in)
    session = cli.session(region=region, profile=profile)
    with cli.usage_errors(ConfigurationError):
        change = compare_policy(session, vpc_endpoint, text)
    _make(
        change,
        lambda: apply_policy(session, vpc_endpoint, text, keep_in=directory),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command(epilog=EXIT_STATUS)
def restore(
    context: typer.Context,
    *,
    vpc_endpoint: _VpcEndpointId,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="What `policy apply` kept; the newest of it in --keep-in by default.",
            show_default=False,
        ),
    ] = None,
    keep_in: _KeepIn = ".",
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Give a VPC endpoint back a policy that `policy apply` replaced.

    Shows what changes and asks, as `policy apply` does, and keeps what was in force until then: so
    doing it twice takes it back.

    \b
    Examples:
      sm-private-client policy restore vpce-0fe5b17a0707d6abc
      sm-private-client policy restore vpce-0fe5b17a0707d6abc kept.json --dry-run
    """
    cli = cli_context(context)
    if not (yes or dry_run):
        require_terminal(cli, f"restore the policy of {vpc_endpoint}")
    directory = _directory(keep_in)
    kept = _newest(vpc_endpoint, directory) if file is None else Path(file).expanduser()
    _check_owner(kept, vpc_endpoint)
    session = cli.session(region=region, profile=profile)
    with cli.usage_errors(ConfigurationError):
        change = compare_kept_policy(session, kept)
    _make(
        change,
        lambda: restore_policy(session, kept, keep_in=directory),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _make(
    change: PolicyChange,
    make: Callable[[], PolicyChange],
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show a change, ask about it and make it.

    What the user decides by goes to stderr, the result to stdout.
    """
    text = str(change)
    if change.is_change and not dry_run:
        typer.echo(text, err=True)
        if not yes:
            confirm(f"Change the policy of {change.vpc_endpoint_id}?")
        change = make()
        text = f"The policy of {change.vpc_endpoint_id} is changed; AWS enforces it within minutes."
        if change.kept_in:
            text += f"\nThe old document is in {change.kept_in}."
    if as_json:
        print_json(change.as_dict())
    else:
        typer.echo(text)


def _directory(path: str) -> Path:
    directory = Path(path).expanduser()
    if not directory.is_dir():
        raise typer.BadParameter(f"--keep-in {path!r} is no directory.")
    return directory.resolve()  # so that its name is good from every directory


def _newest(vpc_endpoint: str, directory: Path) -> Path:
    # The time is in the name, in digits that sort.
    kept = sorted(directory.glob(f"{vpc_endpoint}.policy.*.json"))
    if not kept:
        raise typer.BadParameter(
            f"No policy of {vpc_endpoint} is kept in {str(directory)!r}; name the file, or the "
            "directory with --keep-in."
        )
    return kept[-1]


def _check_owner(path: Path, vpc_endpoint: str) -> None:
    """Check that ``policy apply`` kept a file, and of which VPC endpoint.

    Raises:
        typer.BadParameter: It is no such file, or one of another VPC endpoint.
    """
    try:
        content = json.loads(read_text(str(path)))
        owner, policy = content["vpc_endpoint_id"], content["policy"]
    except (ValueError, KeyError, TypeError):
        owner = policy = None
    if not isinstance(policy, (dict, str)):
        raise typer.BadParameter(
            f"{str(path)!r} is no file that `policy apply` kept; a plain document is what "
            "`policy apply` takes."
        )
    if owner != vpc_endpoint:
        raise typer.BadParameter(f"{str(path)!r} is of {owner}, not of {vpc_endpoint}.")
