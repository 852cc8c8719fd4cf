"""The typer application: the commands, by name, and the modules that hold them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from sm_private_client._version import __version__
from sm_private_client.cli.context import EXIT_STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sm_private_client.cli.context import CliContext

__all__ = ["LazyCommands", "app", "run"]

_PROGRAM: Final = "sm-private-client"

# Of click, or of typer's own copy of it: that depends on typer's version.
Command: TypeAlias = Any
Context: TypeAlias = Any


class LazyCommands(TyperGroup):
    """A group that loads a command's module when the command is run, completed or explained.

    Help of the group itself needs only a name and a line of each command. Loading all of them
    would take ten times as long.

    Attributes:
        modules: By command: the module of ``cli.commands`` that holds it, and the first
            paragraph of its help.
    """

    modules: ClassVar[Mapping[str, tuple[str, str]]]

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**settings)
        lazy = {name: TyperCommand(name, help=text) for name, (_, text) in self.modules.items()}
        self.commands = {**lazy, **self.commands}

    def load(self, name: str) -> Command:
        """Return a command with its options."""
        if name not in self.modules:
            return self.commands[name]
        module = import_module(f"sm_private_client.cli.commands.{self.modules[name][0]}")
        return typer.main.get_group(module.app).commands[name]

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command, list[str]]:
        """Return the command that the arguments name, and the arguments left for it."""
        name, command, left = super().resolve_command(ctx, args)
        return name, (self.load(name) if name else command), left


class _Commands(LazyCommands):
    modules: ClassVar = {
        "routes": ("routes", "Print how each service is reached from here and why, or why not."),
        "env": (
            "env",
            "Print the lines that lead any AWS SDK, or the AWS CLI, over the private routes.",
        ),
        "exec": (
            "exec",
            "Run a command that calls SageMaker over the private routes, without changing it.",
        ),
        "invoke": (
            "invoke",
            "Call a model once and write its answer, as it is, to a file or stdout.",
        ),
        "map": (
            "map",
            "Call a model for every row of a file and write the answers in the same order.",
        ),
        "doctor": (
            "doctor",
            "Find out why it does not work: the root cause first, and what mends it.",
        ),
        "demo": ("demo", "Prove it on this machine, without AWS."),
    }


class _PolicyCommands(LazyCommands):
    modules: ClassVar = {
        "build": (
            "policy_build",
            "Write the policy document that a sentence means, and look it over.",
        ),
        "check": (
            "policy_check",
            "Look a policy over before AWS does: what is refused, and what is likely not meant.",
        ),
        "explain": (
            "policy_check",
            "Say in one English line what each statement of a policy really does.",
        ),
        "simulate": (
            "policy_check",
            "Judge one call by a policy: allowed or denied, by which statement, and why.",
        ),
        "apply": (
            "policy_apply",
            "Give a VPC endpoint a policy, once it is known what that changes.",
        ),
        "restore": (
            "policy_apply",
            "Give a VPC endpoint back a policy that `policy apply` replaced.",
        ),
    }


class _EndpointsCommands(LazyCommands):
    modules: ClassVar = {
        "list": (
            "endpoint_list",
            "List the VPC endpoints of SageMaker and the other services, as EC2 shows them.",
        ),
        "plan": (
            "endpoint_plans",
            "Show which VPC endpoints would be made, and what stands against it; change nothing.",
        ),
        "create": (
            "endpoint_plans",
            "Make the VPC endpoints of a plan that are not there yet, and wait for them.",
        ),
        "destroy": (
            "endpoint_destroy",
            "Remove the VPC endpoints and the security group that a plan made, and nothing else.",
        ),
        "export": (
            "endpoint_plans",
            "Write a plan for those who apply such things: a template, a configuration, a script.",
        ),
    }


# Plain help and plain tracebacks: both are read in logs and over slow consoles.
app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EXIT_STATUS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _class, _help in (
    ("policy", _PolicyCommands, "Build, check, explain, simulate, apply and restore policies."),
    ("endpoints", _EndpointsCommands, "List, plan, create, destroy and export VPC endpoints."),
):
    app.add_typer(
        typer.Typer(cls=_class, rich_markup_mode=None, no_args_is_help=True, epilog=EXIT_STATUS),
        name=_name,
        help=_help,
    )


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """boto3 for Amazon SageMaker in private networks.

    \b
    Examples:
      sm-private-client demo
      sm-private-client routes
      sm-private-client routes --service sagemaker-runtime --json
      sm-private-client exec -- aws sagemaker list-endpoints
      sm-private-client invoke churn-xgb --body @row.csv --content-type text/csv
    """
    if version:
        typer.echo(f"{_PROGRAM} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: Sequence[str], cli: CliContext) -> None:
    """Run one command; see ``cli.main``.

    Raises:
        SystemExit: It has ended, with its exit status.
    """
    app(args=list(arguments), prog_name=_PROGRAM, obj=cli)
