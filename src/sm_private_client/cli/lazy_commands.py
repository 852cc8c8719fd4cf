"""LazyCommands: a group of commands that are known by name and loaded when they are run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyCommands"]

_PACKAGE: Final = "sm_private_client.cli.commands"


class LazyCommands(TyperGroup):
    """A group that loads a command's module when the command is run, completed or explained.

    Help of the group itself needs a name and a line of each command; to load all of them for
    that takes ten times as long.

    Attributes:
        modules: By the command's name: the module of ``cli.commands`` whose ``app`` has it, or is
            it, and the first paragraph of its help.
    """

    modules: ClassVar[Mapping[str, tuple[str, str]]]

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=summary) for name, (_, summary) in self.modules.items()
        }

    def load(self, name: str) -> Any:  # noqa: ANN401 - typer's, of its click or of click's own
        """Return a command with its options."""
        app: typer.Typer = import_module(f"{_PACKAGE}.{self.modules[name][0]}").app
        group = typer.main.get_group(app)
        return group if isinstance(group, LazyCommands) else group.commands[name]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - as above
        """Return the command that arguments name, and the arguments that are left for it."""
        name, command, left = super().resolve_command(ctx, args)
        return name, (self.load(name) if name else command), left
