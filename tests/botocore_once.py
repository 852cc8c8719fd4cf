"""botocore, which works out once a process what it does for each session and client.

One costs it 20 ms and more, most of that the same each time: it parses models, names the events of
130 handlers, looks at their signatures, and makes a method for each operation, of which SageMaker
has 430 and EC2 780. The suite makes thousands.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import botocore.client
import botocore.handlers
import botocore.hooks
import botocore.loaders

if TYPE_CHECKING:
    import pytest

__all__ = ["work_out_once"]


def work_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share models, names of events, signatures of handlers and methods among all sessions."""
    hooks: Any = botocore.hooks
    creator: Any = botocore.client.ClientCreator
    loader: Any = botocore.loaders.JSONFileLoader
    make, known_aliases = hooks.EventAliaser.__init__, hooks.EVENT_ALIASES
    takes_all, load = hooks.accepts_kwargs, loader.load_file
    create_methods = creator._create_methods
    methods: dict[int, tuple[Any, dict[str, Any]]] = {}
    names: dict[str, str] = {}
    packaged = os.path.join(botocore.loaders.Loader.BUILTIN_DATA_PATH, "")  # noqa: PTH118 - a prefix
    of_handler = functools.cache(takes_all)
    of_file = functools.cache(functools.partial(load, loader()))

    def make_aliaser(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(self, event_emitter, event_aliases)
        if event_aliases in (None, known_aliases):
            self._alias_name_cache = names

    def accepts_kwargs(function: Any) -> Any:
        # No other module's, which may be closures and hold what they close over.
        ours = getattr(function, "__module__", "") == botocore.handlers.__name__
        return (of_handler if ours else takes_all)(function)

    def load_file(self: Any, file_path: str) -> Any:
        # botocore resolves the references of _retry in the object that it loaded.
        once = file_path.startswith(packaged) and not file_path.endswith("_retry")
        return of_file(file_path) if once else load(self, file_path)

    def methods_of(self: Any, service_model: Any) -> dict[str, Any]:
        description = service_model._service_description
        if id(description) not in methods:
            # With the description itself: as long as it is there, no other one has its id.
            methods[id(description)] = (description, create_methods(self, service_model))
        return methods[id(description)][1].copy()

    monkeypatch.setattr(creator, "_create_methods", methods_of)
    monkeypatch.setattr(hooks.EventAliaser, "__init__", make_aliaser)
    monkeypatch.setattr(hooks, "accepts_kwargs", accepts_kwargs)
    monkeypatch.setattr(loader, "load_file", load_file)
