"""``policy apply`` and ``policy restore``: change the policy of a VPC endpoint, and back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sm_private_client.cli.console import DryRun, Yes, ask, refuse_where_nobody_is
from sm_private_client.cli.context import EXIT_STATUS
from sm_private_client.cli.options import AsJson, Debug, Profile, Region, cli_context
from sm_private_client.cli.policy_files import PolicyFile, print_json, read_policy
from sm_private_client.errors import ConfigurationError
from sm_private_client.provisioning import (
    apply_policy,
    compare_kept_policy,
    compare_policy,
    restore_policy,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sm_private_client.cli.context import CliContext
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
    file: PolicyFile,
    keep_in: _KeepIn = ".",
    dry_run: DryRun = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,
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
    invocation = cli_context(context)
    if not (yes or dry_run):
        refuse_where_nobody_is(invocation, f"change the policy of {vpc_endpoint}")
    text, directory = read_policy(file), _directory(keep_in)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    _change(
        _compared(invocation, lambda: compare_policy(session, vpc_endpoint, text)),
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
    dry_run: DryRun = False,
    yes: Yes = False,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Give a VPC endpoint back a policy that `policy apply` replaced.

    Shows what changes and asks, as `policy apply` does, and keeps what was in force until then: so
    doing it twice takes it back.

    \b
    Examples:
      sm-private-client policy restore vpce-0fe5b17a0707d6abc
      sm-private-client policy restore vpce-0fe5b17a0707d6abc kept.json --dry-run
    """
    invocation = cli_context(context)
    if not (yes or dry_run):
        refuse_where_nobody_is(invocation, f"restore the policy of {vpc_endpoint}")
    directory = _directory(keep_in)
    kept = _newest(vpc_endpoint, directory) if file is None else Path(file).expanduser()
    _check_owner(kept, vpc_endpoint)
    session = invocation.session(region=region, profile=profile, vpc_endpoint=None)
    _change(
        _compared(invocation, lambda: compare_kept_policy(session, kept)),
        lambda: restore_policy(session, kept, keep_in=directory),
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )


def _compared(invocation: CliContext, compare: Callable[[], PolicyChange]) -> PolicyChange:
    try:
        return compare()
    except ConfigurationError as error:
        invocation.report(error)
        raise typer.Exit(2) from error


def _change(
    change: PolicyChange,
    make: Callable[[], PolicyChange],
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Shows a change, asks about it, makes it.

    What it is decided by goes to stderr, what came out of it to stdout.
    """
    if dry_run or not change.is_change:
        _print(change, str(change), as_json=as_json)
        return
    typer.echo(str(change), err=True)
    if not yes:
        ask(f"Change the policy of {change.vpc_endpoint_id}?")
    made = make()
    told = f"The policy of {made.vpc_endpoint_id} is changed; AWS enforces it within minutes."
    kept = f"The old document is in {made.kept_in}." if made.kept_in else ""
    _print(made, f"{told}\n{kept}".rstrip(), as_json=as_json)


def _print(change: PolicyChange, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(change.as_dict())
    else:
        typer.echo(text)


def _directory(path: str) -> Path:
    found = Path(path).expanduser()
    if not found.is_dir():
        raise typer.BadParameter(f"--keep-in {path!r} is no directory.")
    return found.resolve()  # where it is told to be, it is from every directory


def _newest(vpc_endpoint: str, directory: Path) -> Path:
    # The time is in the name, in digits that sort.
    found = sorted(directory.glob(f"{vpc_endpoint}.policy.*.json"))
    if not found:
        raise typer.BadParameter(
            f"No policy of {vpc_endpoint} is kept in {str(directory)!r}; name the file, or the "
            "directory with --keep-in."
        )
    return found[-1]


def _check_owner(path: Path, vpc_endpoint: str) -> None:
    """Sees that a file is one that ``policy apply`` kept of a VPC endpoint.

    Raises:
        typer.BadParameter: It is no such file, or one of another VPC endpoint.
    """
    try:
        content = json.loads(read_policy(str(path)))
        owner, kept = content["vpc_endpoint_id"], content["policy"]
    except (ValueError, KeyError, TypeError) as error:
        kept = error
    if not isinstance(kept, (dict, str)):
        raise typer.BadParameter(
            f"{str(path)!r} is no file that `policy apply` kept; a plain document is what "
            "`policy apply` takes."
        )
    if owner != vpc_endpoint:
        raise typer.BadParameter(f"{str(path)!r} is of {owner}, not of {vpc_endpoint}.")
