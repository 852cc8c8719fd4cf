"""Progress displays, with tqdm or rich, if there is someone to see them."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from sm_private_client.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import TextIO

__all__ = ["Progress", "progress_for"]


class Progress(NamedTuple):
    """A display of how far a run is.

    Attributes:
        advance: Counts one more item.
        close: Ends the display; calling it again does nothing.
    """

    advance: Callable[[], object]
    close: Callable[[], object]


def progress_for(
    progress: bool | None,
    *,
    name: str,
    total: int | None,
    stream: TextIO | None = None,
) -> Progress:
    """Return the display for an argument ``progress``: tqdm's if it is installed, else rich's.

    Args:
        progress: ``None`` shows one on a terminal (standard error) or in a notebook if tqdm or
            rich is installed; ``True`` always shows one; ``False`` never.
        name: What is under way.
        total: The number of items; ``None`` if not known.
        stream: Where it is shown; standard error by default.

    Raises:
        MissingExtraError: ``True``, and neither tqdm nor rich is installed.
    """
    stream = stream or sys.stderr
    silent = Progress(lambda: None, lambda: None)
    notebook = _is_notebook()
    if progress is False or (progress is None and not (notebook or _is_terminal(stream))):
        return silent
    tqdm = _module("tqdm.auto" if notebook else "tqdm")
    if tqdm is not None:
        bar = tqdm.tqdm(desc=name, total=total, unit="item", file=stream)
        return Progress(bar.update, bar.close)
    rich, consoles = _module("rich.progress"), _module("rich.console")
    if rich is not None and consoles is not None:
        console = consoles.Console() if notebook else consoles.Console(file=stream)
        columns = (*rich.Progress.get_default_columns(), rich.MofNCompleteColumn())
        bar = rich.Progress(*columns, console=console)
        task = bar.add_task(name, total=total)
        bar.start()
        return Progress(functools.partial(bar.advance, task), bar.stop)
    if progress:
        raise MissingExtraError("A progress display", extra="cli")
    return silent


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # none at all (pythonw), or closed
        return False


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"  # Jupyter's, also in SageMaker Studio


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
