"""The rules of the house, drawn from one table and checked in the code itself.

The checkers read source with ``ast``; each is also run on small breaches, which it must report.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import sm_private_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PACKAGE = "sm_private_client"
ROOT = Path(sm_private_client.__file__).parent
PROJECT = Path(__file__).parents[1]

FLOORS = {
    "_version": 0,
    "errors": 0,
    "files": 0,
    "types": 0,
    "privatelink": 1,
    "policy": 2,
    "routing": 2,
    "transport": 3,
    "inference": 4,
    "session": 5,
    "api": 6,
    "provisioning": 6,
    "testing": 6,
    "integrations": 7,
    "plugin": 8,
    "doctor": 9,
    "cli": 10,
    "__main__": 11,
    "": 12,  # the package's own __init__ gives every public name
}
"""A room imports from floors below its own, without exception."""
FACTS = "privatelink.records"
"""Records that a room below may name as types."""

PURE = {"privatelink", "transport.http11"}
"""Rooms and modules without I/O."""
IMPURE_MODULES = {
    "asyncio",
    "boto3",
    "botocore",
    "http",
    "logging",
    "os",
    "pathlib",
    "random",
    "requests",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "threading",
    "time",
    "urllib.request",
    "urllib3",
}
PURE_PART = "botocore.exceptions."
"""Classes only, which do nothing by themselves."""
READS_ENVIRONMENT = {"routing.settings"}
SETS_ENVIRONMENT = {"cli.demo.setup", "testing"}
"""Where it is set: the demonstration shows how variables work, moto's import must not see
AWS_PROFILE; both put the old ones back."""
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
OPENS_SOCKETS = {"integrations.aiobotocore", "routing.network"}
OPENING_ROOMS = {"transport", "testing"}
NOT_OPENING = {"gaierror", "herror", "timeout", "error"}
MUTABLE_STATE = {("api", "_sessions")}
MUTABLE_CALLS = {
    "Counter",
    "OrderedDict",
    "WeakKeyDictionary",
    "WeakValueDictionary",
    "bytearray",
    "defaultdict",
    "deque",
    "dict",
    "list",
    "set",
}
FORBIDDEN_FILES = {"utils", "helpers", "base", "common"}
FORBIDDEN_NAME = "endpoint"


class Module(NamedTuple):
    """A module of the package: its name without the package's, and its syntax tree."""

    name: str
    tree: ast.Module
    is_package: bool = False

    @property
    def room(self) -> str:
        """The room of the house it is in."""
        return self.name.partition(".")[0]


def modules() -> Iterator[Module]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield Module(name, ast.parse(path.read_text(encoding="utf-8")), is_package)


MODULES = {module.name: module for module in modules()}


def snippet(name: str, source: str) -> Module:
    return Module(name, ast.parse(source))


# Reading imports


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """Every import anywhere in a module, as line and full dotted name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                whole = [PACKAGE, *(part for part in module.name.split(".") if part)]
                kept = len(whole) - node.level + module.is_package
                base = ".".join([*whole[:kept], *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def own_imports(module: Module) -> Iterator[tuple[int, str]]:
    """The imports of this package's own modules, as line and name without the package's."""
    for line, name in imported(module):
        if name == PACKAGE:
            yield line, ""
        elif name.startswith(f"{PACKAGE}."):
            yield line, name.removeprefix(f"{PACKAGE}.")


def home_of(name: str) -> str:
    """The module that an imported name is in: ``errors.X`` is in ``errors``."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


# The checkers: each gives its complaints


def breaks_floors(module: Module) -> Iterator[str]:
    if module.room not in FLOORS:
        yield f"{module.name} is in no room of the table"
        return
    for_types = {line for line, _ in imports_for_types(module)}
    for line, name in own_imports(module):
        room = name.partition(".")[0]
        if room not in FLOORS:  # a name that the package's __init__ gives
            room = ""
        if line in for_types and name.startswith(f"{FACTS}."):
            continue
        if room != module.room and FLOORS[room] >= FLOORS[module.room]:
            yield f"{module.name}:{line} imports {name or PACKAGE}, which is not below it"


def breaks_purity(module: Module) -> Iterator[str]:
    if PURE.isdisjoint((module.room, module.name)):
        return
    for line, name in imported(module):
        is_impure = any(name == bad or name.startswith(f"{bad}.") for bad in IMPURE_MODULES)
        if is_impure and not name.startswith(PURE_PART):
            yield f"{module.name}:{line} imports {name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "open",
            "input",
            "print",
        ):
            yield f"{module.name}:{node.lineno} does I/O"


def reads_environment(module: Module) -> Iterator[str]:
    if module.name in READS_ENVIRONMENT | SETS_ENVIRONMENT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT:
            if isinstance(node.value, ast.Name) and node.value.id == "os":
                yield f"{module.name}:{node.lineno} reads os.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            for alias in node.names:
                if alias.name in ENVIRONMENT:
                    yield f"{module.name}:{node.lineno} imports os.{alias.name}"


ASYNCIO_OPENING = {
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "open_connection",
    "open_unix_connection",
    "sock_connect",
    "start_server",
    "start_unix_server",
}


def opens_sockets(module: Module) -> Iterator[str]:
    """Elsewhere the module ``socket`` may be named for its exceptions and types only."""
    if module.name in OPENS_SOCKETS or module.room in OPENING_ROOMS:
        return
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "socket"
            and node.attr not in NOT_OPENING
        ):
            yield f"{module.name}:{node.lineno} uses socket.{node.attr}"
        if isinstance(node, ast.Attribute) and node.attr in ASYNCIO_OPENING:
            yield f"{module.name}:{node.lineno} uses {node.attr}"
    for line, name in imported(module):
        opener = name.partition(".")[0] in ("socketserver", "urllib3")
        opener = opener or name.rpartition(".")[2] in ASYNCIO_OPENING
        opener = opener and not name.startswith("urllib3.exceptions")
        if opener or (name.startswith("socket.") and name.partition(".")[2] not in NOT_OPENING):
            yield f"{module.name}:{line} imports {name}"


def _is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
        return True
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in MUTABLE_CALLS


def keeps_state(module: Module) -> Iterator[str]:
    """Lists, dicts and sets of a module must be ``Final``; ``global`` is for the one session."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                name = ast.unparse(target)
                if name != "__all__" and _is_mutable(node.value):
                    yield f"{module.name}:{node.lineno} keeps {name}"
        elif (
            isinstance(node, ast.AnnAssign)
            and _is_mutable(node.value)
            and "Final" not in ast.unparse(node.annotation)
        ):
            yield f"{module.name}:{node.lineno} keeps {ast.unparse(node.target)}"
    for inner in ast.walk(module.tree):
        if isinstance(inner, ast.Global):
            for name in inner.names:
                if (module.name, name) not in MUTABLE_STATE:
                    yield f"{module.name}:{inner.lineno} changes the global {name}"


def names_badly(module: Module) -> Iterator[str]:
    """``endpoint`` alone means three things, so it names nothing of ours."""
    for node in ast.walk(module.tree):
        given: list[str | None] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            given = [node.name]
        elif isinstance(node, ast.arg):
            given = [node.arg]
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            given = [node.id]
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            given = [node.attr]
        elif isinstance(node, ast.alias):
            given = [node.asname]
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
            given = [node.name]
        elif isinstance(node, ast.MatchMapping):
            given = [node.rest]
        for name in given:
            if name is not None and name.strip("_").lower() == FORBIDDEN_NAME:
                where = getattr(node, "lineno", 0)
                yield f"{module.name}:{where} names something {name}"


def is_named_badly(module: Module) -> Iterator[str]:
    if FORBIDDEN_FILES & set(module.name.split(".")):
        yield f"{module.name} says nothing about what is in it"


CHECKERS: tuple[Callable[[Module], Iterator[str]], ...] = (
    breaks_floors,
    breaks_purity,
    reads_environment,
    opens_sockets,
    keeps_state,
    names_badly,
    is_named_badly,
)


def circles(needs: dict[str, set[str]]) -> list[list[str]]:
    """The import circles: for each module in one, the shortest way back to itself."""
    found = []
    for start in sorted(needs):
        came_from: dict[str, str] = {}
        waiting = deque([start])
        while waiting and start not in came_from:
            here = waiting.popleft()
            for there in sorted(needs.get(here, set())):
                if there not in came_from:
                    came_from[there] = here
                    waiting.append(there)
        if start in came_from:
            way = [start]
            while (before := came_from[way[-1]]) != start:
                way.append(before)
            found.append([start, *reversed(way[1:]), start])
    return found


def needs_of(module: Module) -> set[str]:
    """The modules that a module imports when it runs, importing at function level included."""
    for_types = {line for line, _ in imports_for_types(module)}
    found = {home_of(name) for line, name in own_imports(module) if line not in for_types}
    return found - {module.name, ""}


def imports_for_types(module: Module) -> Iterator[tuple[int, ast.stmt]]:
    """The imports that only a type checker makes, by line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from ((inner.lineno, inner) for inner in node.body)


# The house


@pytest.mark.parametrize("check", CHECKERS, ids=lambda check: check.__name__)
def test_the_house_is_in_order(check: Callable[[Module], Iterator[str]]) -> None:
    """No module of the package breaks a rule of the house."""
    assert [complaint for module in MODULES.values() for complaint in check(module)] == []


def test_there_are_no_import_circles() -> None:
    """No module needs itself by way of others."""
    assert circles({name: needs_of(module) for name, module in MODULES.items() if name}) == []


def test_every_room_of_the_table_is_there() -> None:
    """The table names the rooms that there are, and no other."""
    assert {module.room for module in MODULES.values()} == set(FLOORS)


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_a_page_sends_to_are_there(page: str) -> None:
    """A page for those who change the code names no file or directory that is gone."""
    named = set(re.findall(r"`([\w./]+(?:\.py|/))`", (PROJECT / page).read_text(encoding="utf-8")))
    assert len(named) > 3
    near = [ROOT, PROJECT, ROOT / "inference", ROOT / "doctor"]
    assert [name for name in named if not any((base / name).exists() for base in near)] == []


def test_the_floors_are_those_that_are_enforced() -> None:
    """docs/architecture.md has every room on the floor that the architecture test has it on."""
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = {
        room: int(floor)
        for floor, rooms in re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE)
        for room in re.findall(r"`(\w+)[./]", rooms)
    }
    left_out = {"", "_version"}
    assert told == {r: n for r, n in FLOORS.items() if r not in left_out} | {"__init__": FLOORS[""]}


def test_ground_floors_import_only_the_standard_library_and_botocore() -> None:
    """Up to routing, botocore is the only third party."""
    third_party = {
        name.partition(".")[0]
        for module in MODULES.values()
        if module.room in ("errors", "privatelink", "routing")
        for _, name in imported(module)
    }
    assert third_party & {"boto3", "requests", "urllib3", "tenacity", "moto", "httpx"} == set()


# Breaches that must be reported

BREACHES = [
    (breaks_floors, "privatelink.x", "from sm_private_client.routing import cache"),
    (breaks_floors, "routing.x", "import sm_private_client.session"),
    (breaks_floors, "routing.x", "def f():\n    from sm_private_client.transport.dialer import X"),
    (
        breaks_floors,
        "routing.x",
        "if TYPE_CHECKING:\n    from sm_private_client.api import client",
    ),
    (breaks_floors, "routing.x", "from ..transport import dialer"),
    (breaks_floors, "routing.x", "from .. import session"),
    (breaks_floors, "routing.x", "import sm_private_client"),
    (breaks_floors, "cli.x", "from sm_private_client import connect"),
    (breaks_floors, "session", "from sm_private_client.api import client"),
    (breaks_floors, "testing.x", "from sm_private_client.doctor import report"),
    (breaks_floors, "errors", "from sm_private_client.privatelink.records import Route"),
    (
        breaks_floors,
        "errors",
        "if TYPE_CHECKING:\n    from sm_private_client.privatelink.services import is_family",
    ),
    (breaks_floors, "attic", "import json"),
    (breaks_purity, "privatelink.x", "import socket"),
    (breaks_purity, "transport.http11", "import ssl"),
    (breaks_purity, "privatelink.x", "def f():\n    from time import time"),
    (breaks_purity, "privatelink.x", "import os.path"),
    (breaks_purity, "privatelink.x", "from botocore.config import Config"),
    (breaks_purity, "privatelink.x", "import urllib.request"),
    (breaks_purity, "privatelink.x", "text = open('x').read()"),
    (reads_environment, "routing.cache", "import os\nx = os.environ['A']"),
    (reads_environment, "session", "import os\nx = os.getenv('A')"),
    (reads_environment, "session", "from os import environ"),
    (opens_sockets, "routing.location", "import socket\nsocket.create_connection(('x', 1))"),
    (opens_sockets, "session", "from socket import socket"),
    (opens_sockets, "session", "import asyncio\nasyncio.open_connection('x', 1)"),
    (opens_sockets, "session", "from asyncio import start_server"),
    (opens_sockets, "session", "def f(loop):\n    loop.create_connection(f, 'x', 1)"),
    (opens_sockets, "session", "from urllib3 import PoolManager"),
    (keeps_state, "routing.x", "CACHE = {}"),
    (keeps_state, "routing.x", "CACHE: dict[str, str] = {}"),
    (keeps_state, "routing.x", "CACHE = dict()"),
    (keeps_state, "routing.x", "NAMES = [n for n in 'ab']"),
    (keeps_state, "routing.x", "import collections\nCACHE = collections.defaultdict(list)"),
    (keeps_state, "routing.x", "x = None\ndef f():\n    global x\n    x = 1"),
    (names_badly, "routing.x", "endpoint = 1"),
    (names_badly, "routing.x", "def f(endpoint): ..."),
    (names_badly, "routing.x", "def f(*, endpoint=None): ..."),
    (names_badly, "routing.x", "def endpoint(): ..."),
    (names_badly, "routing.x", "async def endpoint(): ..."),
    (names_badly, "routing.x", "class Endpoint: ..."),
    (names_badly, "routing.x", "class A:\n    endpoint: str"),
    (names_badly, "routing.x", "for endpoint in (): ..."),
    (names_badly, "routing.x", "x = [endpoint for endpoint in ()]"),
    (names_badly, "routing.x", "with x as endpoint: ..."),
    (names_badly, "routing.x", "import json as endpoint"),
    (names_badly, "routing.x", "def f(self):\n    self._endpoint = 1"),
    (names_badly, "routing.x", "if (endpoint := 1): ..."),
    (names_badly, "routing.x", "try: ...\nexcept OSError as endpoint: ..."),
    (is_named_badly, "routing.utils", ""),
    (is_named_badly, "common", ""),
    (is_named_badly, "helpers.x", ""),
]
IN_ORDER = [
    (breaks_floors, "routing.x", "from sm_private_client.privatelink import services"),
    (breaks_floors, "routing.x", "from sm_private_client.routing import cache"),
    (breaks_floors, "routing.x", "from . import cache"),
    (breaks_floors, "api", "from sm_private_client.session import Session"),
    (breaks_floors, "testing.x", "def f():\n    from sm_private_client.session import Session"),
    (breaks_floors, "", "from sm_private_client.api import client"),
    (
        breaks_floors,
        "errors",
        "if TYPE_CHECKING:\n    from sm_private_client.privatelink.records import Route",
    ),
    (breaks_purity, "privatelink.x", "import ipaddress, re\nfrom urllib.parse import urlsplit"),
    (breaks_purity, "privatelink.x", "from botocore.exceptions import ClientError"),
    (breaks_purity, "routing.x", "import socket, time"),
    (reads_environment, "routing.settings", "import os\nx = os.environ"),
    (reads_environment, "routing.x", "import os\nx = os.fspath('a')"),
    (opens_sockets, "routing.x", "import socket\ntry: ...\nexcept socket.gaierror: ..."),
    (opens_sockets, "transport.x", "import socket\nsocket.socket()"),
    (opens_sockets, "inference.x", "from urllib3.exceptions import HTTPError"),
    (opens_sockets, "routing.network", "import socket\nsocket.socket()"),
    (keeps_state, "routing.x", "NAMES: Final = ['a']\n__all__ = ['a']\nT = TypeVar('T')\nX = (1,)"),
    (keeps_state, "routing.x", "def f():\n    x = {}"),
    (keeps_state, "api", "def f():\n    global _sessions"),
    (names_badly, "transport.x", "def f(client):\n    return client._endpoint.http_session"),
    (names_badly, "transport.x", "endpoint_url = vpc_endpoint = 1"),
    (names_badly, "transport.x", "from botocore import endpoint"),
    (is_named_badly, "routing.database", ""),
]


def labelled(
    rows: Sequence[tuple[Callable[[Module], Iterator[str]], str, str]],
) -> list[str]:
    return [f"{check.__name__}-{name}-{number}" for number, (check, name, _) in enumerate(rows)]


@pytest.mark.parametrize(("check", "name", "source"), BREACHES, ids=labelled(BREACHES))
def test_breaches_are_reported(
    check: Callable[[Module], Iterator[str]], name: str, source: str
) -> None:
    """Each rule reports a breach of it."""
    assert list(check(snippet(name, source)))


@pytest.mark.parametrize(("check", "name", "source"), IN_ORDER, ids=labelled(IN_ORDER))
def test_what_is_in_order_is_not_reported(
    check: Callable[[Module], Iterator[str]], name: str, source: str
) -> None:
    """No rule reports what is allowed."""
    assert list(check(snippet(name, source))) == []


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({"a": {"b"}, "b": set()}, []),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"a"}}, [["a", "a"]]),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b", "a"], ["b", "a", "b"]]),
        (
            {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}},
            [["a", "b", "c", "a"], ["b", "c", "a", "b"], ["c", "a", "b", "c"]],
        ),
    ],
)
def test_circles_are_found(needs: dict[str, set[str]], found: list[list[str]]) -> None:
    """Circles of any length are found, and nothing else."""
    assert circles(needs) == found
