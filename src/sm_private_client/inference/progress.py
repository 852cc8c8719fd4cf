"""A progress display, where there is someone to see it and something to show it with."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

from sm_private_client.errors import MissingExtraError

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["Progress", "progress_for"]


class Progress(Protocol):
    """Shows how far a run is."""

    def advance(self) -> None:
        """Counts one more item."""
        ...

    def close(self) -> None:
        """Ends the display; calling it again does nothing."""
        ...


class _Silent:
    def advance(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Tqdm:
    def __init__(self, tqdm: Any, name: str, total: int | None, stream: TextIO) -> None:  # noqa: ANN401 - an optional module
        self._bar = tqdm.tqdm(desc=name, total=total, unit="item", file=stream)

    def advance(self) -> None:
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class _Rich:
    def __init__(self, rich: Any, console: Any, name: str, total: int | None) -> None:  # noqa: ANN401 - as above
        columns = (*rich.Progress.get_default_columns(), rich.MofNCompleteColumn())
        self._bar = rich.Progress(*columns, console=console)
        self._task = self._bar.add_task(name, total=total)
        self._bar.start()

    def advance(self) -> None:
        self._bar.advance(self._task)

    def close(self) -> None:
        self._bar.stop()


def progress_for(
    progress: bool | None,
    *,
    name: str,
    total: int | None,
    stream: TextIO | None = None,
) -> Progress:
    """Makes the display that an argument ``progress`` asks for: tqdm's if present, else rich's.

    Args:
        progress: ``None`` shows one where standard error is a terminal, or in a notebook, and
            tqdm or rich is there; ``True`` shows one in any case; ``False`` never.
        name: What is under way.
        total: How many items there are, ``None`` where that is not known.
        stream: Where it goes; standard error where not given.

    Raises:
        MissingExtraError: ``True``, and neither tqdm nor rich is there.
    """
    shown_on = stream or sys.stderr
    notebook = _is_notebook()
    if progress is False or (progress is None and not (notebook or _is_terminal(shown_on))):
        return _Silent()
    tqdm = _module("tqdm.auto" if notebook else "tqdm")
    if tqdm is not None:
        return _Tqdm(tqdm, name, total, shown_on)
    rich, consoles = _module("rich.progress"), _module("rich.console")
    if rich is not None and consoles is not None:
        console = consoles.Console() if notebook else consoles.Console(file=shown_on)
        return _Rich(rich, console, name, total)
    if progress:
        raise MissingExtraError("A progress display", extra="cli")
    return _Silent()


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # none at all (pythonw), or closed
        return False


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"  # Jupyter's, also in SageMaker Studio


def _module(name: str) -> Any:  # noqa: ANN401 - an optional module
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
