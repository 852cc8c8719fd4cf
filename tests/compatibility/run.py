"""Other projects' suites, run with our sessions and with their own: boto3, botocore, moto.

    python tests/compatibility/run.py                  # all of them; about an hour
    python tests/compatibility/run.py --only moto
    python tests/compatibility/run.py --source boto3=../boto3

Each suite runs as it is, and once for each way of ours: with ``sm_private_client.Session`` in the
place of ``boto3.Session``, and with ``install()``; each where no route is found, and where private
DNS answers for every name. What is looked for is a test with another outcome; one that fails in
both, such as for want of a network, does not count. The file of a test that differs runs twice
more in both ways, and the test counts if no outcome of ours is one of theirs.

The suites are those of the versions that are installed beside ``sm_private_client``, from the
source distributions that ``pip download`` finds. boto3's has no tests: a checkout of the
installed version may be given by ``--source boto3=PATH``, and is passed over otherwise. Needs the
packages of ``sm-private-client[test]``, and writes to a temporary directory only. pytest does not
collect this directory; nothing here runs in CI.

Tests that are alike for every service of AWS run for SageMaker's only, without ``--every-service``.

botocore's tests make botocore's own sessions, so clients come from a ``Session`` that is put over
each; they are compared with those that come from a ``boto3.Session`` over each.

Exits with 1 if a test differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3
PRIVATE = ", private DNS"
"""After the name of a way of ours: names are private where it runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    """Tests of one project.

    Attributes:
        name: How the table calls it.
        project: The project on the package index.
        paths: Where its tests are, in the source distribution.
        swaps: What is compared: ours, and theirs; see ``session_swap.SWAPS``.
        needs: Packages that its tests import besides.
        keyword: What ``pytest -k`` chooses of them, without ``--every-service``.
        ignored: Tests that are left out.
    """

    name: str
    project: str
    paths: tuple[str, ...]
    swaps: tuple[tuple[str, str], ...] = (("session", "nothing"), ("install", "nothing"))
    needs: tuple[str, ...] = ()
    keyword: str = ""
    ignored: tuple[str, ...] = ()


_OVER = (("session-over-botocore", "boto3-over-botocore"), ("install", "nothing"))

SUITES = (
    Suite(name="boto3 unit", project="boto3", paths=("tests/unit",)),
    Suite(
        name="boto3 functional",
        project="boto3",
        paths=("tests/functional",),
        keyword="not test_documentation or sagemaker",  # of every service it takes half an hour
    ),
    Suite(
        name="botocore functional",
        project="botocore",
        paths=("tests/functional",),
        swaps=_OVER,
        # They make a client of every service, each by a session that reads its models anew.
        keyword="not test_expected_service and not test_event_alias or sagemaker",
        # The first runs processes of its own, without the plugin; the next two render the whole of
        # EC2's documentation, and of every service that streams, for minutes; the others look at
        # 55,000 models and rules, and make no client.
        ignored=tuple(
            f"tests/functional/{name}"
            for name in (
                "leak",
                "docs/test_ec2.py",
                "docs/test_streaming_body.py",
                "docs/test_shared_example_config.py",
                "test_auth_config.py",
                "test_endpoint_rulesets.py",
                "test_endpoints.py",
                "test_model_completeness.py",
                "test_paginator_config.py",
                "test_response_shadowing.py",
                "test_service_module_names.py",
                "test_service_names.py",
                "test_six_imports.py",
                "test_waiter_config.py",
            )
        ),
    ),
    Suite(
        name="botocore unit, with sessions",
        project="botocore",
        paths=tuple(
            f"tests/unit/{name}.py"
            for name in (
                "test_client",
                "test_config_provider",
                "test_credentials",
                "test_errorfactory",
                "test_exceptions",
                "test_handlers",
                "test_s3_addressing",
                "test_session",
                "test_session_legacy",
                "test_signers",
                "test_tokens",
                "test_utils",
            )
        ),
        swaps=_OVER,
    ),
    Suite(
        name="moto SageMaker",
        project="moto",
        paths=("tests/test_sagemaker", "tests/test_sagemakermetrics"),
        needs=("freezegun",),
    ),
    Suite(name="moto SageMaker Runtime", project="moto", paths=("tests/test_sagemakerruntime",)),
    Suite(name="moto EC2", project="moto", paths=("tests/test_ec2",), needs=("freezegun",)),
)

Outcomes = dict[str, tuple[str, str]]
"""From test id to outcome and message."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """One test whose outcomes differ."""

    test: str
    ours: tuple[str, str]
    theirs: tuple[str, str]


class Runner:
    """What runs the tests of one unpacked project.

    Args:
        root: Where its ``tests`` directory is.
        work: A directory for homes and results.
        packages: Where packages are that its tests need besides.
    """

    def __init__(self, root: Path, work: Path, packages: Path) -> None:
        self._root = root
        self._work = work
        self._packages = packages

    def run(self, way: str, suite: Suite, files: tuple[str, ...] = ()) -> Outcomes:
        """Run tests in a process and a home of their own.

        Args:
            way: One of ``session_swap.SWAPS``, with ``PRIVATE`` after it or not.
            suite: Whose tests.
            files: Which of them; all if not given.
        """
        home = Path(tempfile.mkdtemp(dir=self._work))
        told = home / "outcomes.json"
        listed = home / "tests.txt"  # many names are too long for a command line
        listed.write_text("\n".join(files or suite.paths), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", f"@{listed}", "-p", "session_swap"]
        command += ["-p", "no:cacheprovider", "-q", "--no-header", "--tb=short"]
        command += ["--continue-on-collection-errors", f"--basetemp={home / 'tmp'}"]
        command += [f"--swap={way.removesuffix(PRIVATE)}", f"--outcomes={told}"]
        command += ["--private-names"] if way.endswith(PRIVATE) else []
        command += [f"--ignore={path}" for path in suite.ignored]
        command += ["-k", suite.keyword] if suite.keyword else []
        log = home / "log.txt"
        with log.open("w", encoding="utf-8") as output:
            subprocess.run(  # noqa: S603 - our own words
                command,
                cwd=self._root,
                env=_environment(home, self._packages),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if not told.exists():
            raise SystemExit(f"pytest did not end:\n{log.read_text(encoding='utf-8')[-4000:]}")
        return {name: tuple(found) for name, found in json.loads(told.read_text()).items()}

    def compare(
        self, ours: str, before: Outcomes, theirs: str, suite: Suite
    ) -> tuple[Outcomes, tuple[Difference, ...]]:
        """Run a suite in our way, and what differs in both ways again; return what still does."""
        after = self.run(ours, suite)
        differing = _differing([after], [before])
        # By file, not by test: what a test needs may be left by the one before it.
        files = tuple(sorted({name.partition("::")[0] for name in differing}))
        all_ours, all_theirs = [after], [before]
        for _ in range(RUNS - 1):
            if files:
                all_ours.append(self.run(ours, suite, files))
                all_theirs.append(self.run(theirs, suite, files))
        still = [name for name in _differing(all_ours, all_theirs) if name in differing]
        return after, tuple(
            Difference(test=name, ours=_of(after, name), theirs=_of(before, name)) for name in still
        )


_ORDER = ("passed", "failed", "skipped")


def _of(outcomes: Outcomes, name: str) -> tuple[str, str]:
    return outcomes.get(name, ("not run", ""))


def _differing(ours: list[Outcomes], theirs: list[Outcomes]) -> list[str]:
    names = sorted(set().union(*ours, *theirs))
    return [
        name
        for name in names
        if {_kind(o, name) for o in ours}.isdisjoint({_kind(o, name) for o in theirs})
    ]


def _kind(outcomes: Outcomes, name: str) -> str:
    outcome = _of(outcomes, name)[0]
    return "failed" if outcome == "error" else outcome


def _environment(home: Path, packages: Path) -> dict[str, str]:
    """Return an environment without settings of AWS, of ours and of proxies, and its own home."""
    dropped = ("AWS_", "SM_PRIVATE_", "BOTO", "XDG_", "PYTEST_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(dropped) and not name.upper().endswith("_PROXY")
    }
    return {
        **kept,
        "HOME": str(home),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:], str(packages)]),
        "TZ": "UTC",
    }


def _unpacked(project: str, work: Path, python: Path) -> Path | None:
    """Download and unpack a source distribution; return ``None`` if it has no tests."""
    version = importlib.metadata.version(project)
    where = work / project
    options = ("--no-deps", "--no-binary", project, "--dest", where)
    _pip(python, "download", *options, f"{project}=={version}")
    (archive,) = where.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(where, filter="data")
    (root,) = (path for path in where.iterdir() if path.is_dir())
    return _without_package(root, project)


def _pip(python: Path, command: str, *words: str | Path) -> None:
    options = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", command, *options, *words], check=True)  # noqa: S603 - as above


def _checkout(project: str, path: Path, work: Path) -> Path | None:
    root = work / project / path.name
    shutil.copytree(path, root, ignore=shutil.ignore_patterns(".git"))
    return _without_package(root, project)


def _without_package(root: Path, project: str) -> Path | None:
    """Take the package away, so that the tests import the one that is installed."""
    shutil.rmtree(root / project, ignore_errors=True)
    return root if (root / "tests").is_dir() else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ", ".join(suite.name for suite in SUITES)
    parser.add_argument("--only", action="append", default=[], help=f"begins the name of: {names}")
    parser.add_argument(
        "--source", action="append", default=[], metavar="PROJECT=PATH", help="a checkout to use"
    )
    parser.add_argument(
        "--every-service",
        action="store_true",
        help="also the tests that are alike for each service of AWS; an hour more",
    )
    return parser.parse_args()


def main() -> int:
    """Run, print what differs and a table; return the exit status."""
    told = _arguments()
    sources = dict(pair.split("=", 1) for pair in told.source)
    chosen = [s for s in SUITES if not told.only or s.name.startswith(tuple(told.only))]
    if told.every_service:
        chosen = [dataclasses.replace(suite, keyword="") for suite in chosen]
    rows: list[tuple[str, ...]] = []
    found = 0
    with tempfile.TemporaryDirectory(prefix="compatibility-") as temporary:
        work = Path(temporary)
        venv.create(work / "pip", with_pip=True)  # ours may have none
        python = work / "pip" / ("Scripts" if os.name == "nt" else "bin") / "python"
        roots: dict[str, Path | None] = {}
        for suite in chosen:
            project = suite.project
            if project not in roots:
                roots[project] = (
                    _checkout(project, Path(sources[project]).resolve(), work)
                    if project in sources
                    else _unpacked(project, work, python)
                )
            root = roots[project]
            if root is None:
                rows.append((suite.name, "-", "no tests in the source distribution", "-", "-"))
                continue
            packages = work / "packages"
            if suite.needs:
                _pip(python, "install", "--upgrade", "--target", packages, *suite.needs)
            runner = Runner(root, work, packages)
            plain = {way: runner.run(way, suite) for way in {way for _, way in suite.swaps}}
            for names, (swap, theirs) in itertools.product(("", PRIVATE), suite.swaps):
                ours, before = swap + names, plain[theirs]
                after, differing = runner.compare(ours, before, theirs, suite)
                counts = (_counted(before), _counted(after), str(len(differing)))
                rows.append((suite.name, ours, *counts))
                print(" | ".join(rows[-1]), flush=True)
                for one in differing:
                    _show_difference(one)
                found += len(differing)
    _show(rows)
    return 1 if found else 0


def _counted(outcomes: Outcomes) -> str:
    kinds = Counter(_kind(outcomes, name) for name in outcomes)
    told = ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds, key=_ORDER.index))
    return f"{len(outcomes)} ({told})"


def _show(rows: list[tuple[str, ...]]) -> None:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("sm-private-client", "boto3", "botocore", "moto")
    )
    print(f"\nPython {sys.version.split()[0]}, {versions}\n")
    print("suite | way | theirs | ours | differ\n--- | --- | --- | --- | ---:")
    for row in rows:
        print(" | ".join(row))


def _show_difference(one: Difference) -> None:
    print(f"  {one.test}")
    print(f"    theirs: {one.theirs[0]} {one.theirs[1]}".rstrip())
    print(f"    ours:   {one.ours[0]} {one.ours[1]}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
