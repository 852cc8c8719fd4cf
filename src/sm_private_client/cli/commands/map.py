"""``sm-private-client map``: calls a model for every row of a file, many at once."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import STANDARD, exit_on_sigterm, open_output
from sm_private_client.cli.context import EXIT_STATUS, cli_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sm_private_client.types import Value

__all__ = ["app"]

_OF_EVERY_CALL: Final = frozenset({"certificate", "not-authenticated", "not-permitted"})
"""Rows of the retry table whose errors are not one item's: every other call ends in them too."""


app = typer.Typer(rich_markup_mode=None)


@app.command("map", epilog=EXIT_STATUS)
def map_(
    context: typer.Context,
    *,
    name: options.EndpointName,
    source: Annotated[
        str,
        typer.Option("--in", metavar="FILE", help="JSON Lines, a row each; - for stdin."),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="FILE", help="The answers, a line a row, mode 0600; - for stdout."
        ),
    ],
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Keeps the answers, so that a run that was killed can go on.",
        ),
    ] = None,
    concurrency: Annotated[
        str,
        typer.Option(
            "--concurrency", metavar="N|auto", help="Calls at once; auto: as many as it bears."
        ),
    ] = "auto",
    content_type: Annotated[
        str,
        typer.Option("--content-type", metavar="TYPE", help="How a row is sent, such as text/csv."),
    ] = "application/json",
    accept: options.Accept = None,
    custom_attributes: options.CustomAttributes = None,
    target_model: options.TargetModel = None,
    target_variant: options.TargetVariant = None,
    target_container_hostname: options.TargetContainerHostname = None,
    inference_component_name: options.InferenceComponentName = None,
    timeout: options.Timeout = None,
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Call a model for every row of a file and write the answers in the same order.

    The answers' file is there once all are. A row that failed has an object with "error" instead;
    then the exit status is 1. What is wrong with every call ends the run. With --journal the same
    command goes on where a run ended. --json prints how many were answered on stderr.

    \b
    Examples:
      sm-private-client map churn-xgb --in rows.jsonl --out answers.jsonl --journal run.journal
      sm-private-client map churn-xgb --in rows.jsonl --out - --content-type text/csv
    """
    from sm_private_client.errors import PayloadError, PrivateClientError
    from sm_private_client.inference.codecs import encode

    _check_different(**{"--in": source, "--out": out, "--journal": journal})
    at_once = _concurrency(concurrency)
    with contextlib.suppress(PayloadError):  # only whether there is such a codec
        encode(None, content_type)
    given = {"accept": accept, "custom_attributes": custom_attributes, "timeout": timeout}
    keywords: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    with exit_on_sigterm(), _open_rows(source) as file, open_output(out) as output:
        session = cli_context(context).session(
            region=region, profile=profile, vpc_endpoint=vpc_endpoint
        )
        predictor = session.predictor(
            name,
            target_model=target_model,
            target_variant=target_variant,
            target_container=target_container_hostname,
            inference_component=inference_component_name,
            codec=content_type,
        )
        rows = _SizedRows(file) if file.seekable() and source != STANDARD else _Rows(file)
        items = failed = 0
        with predictor.map(
            rows, concurrency=at_once, on_error="return", journal=journal, **keywords
        ) as answers:
            for answer in answers:
                if isinstance(answer, Exception) and _ends_the_run(answer):
                    raise answer
                line, is_answer = rows.line_of(items, answer)
                output.write(line)
                items += 1
                failed += not is_answer
        output.commit()
    if as_json:
        typer.echo(
            json.dumps({"items": items, "answered": items - failed, "failed": failed}), err=True
        )
    if failed:
        raise PrivateClientError(
            f"{failed} of {items} rows failed.",
            cause='the objects with "error" in the output say why, a line each.',
            remedy="run it again with the same --journal: only these are called again."
            if journal
            else "mend what they say; with --journal only these are called again.",
        )


def _ends_the_run(error: Exception) -> bool:
    from sm_private_client.errors import PayloadError, PrivateClientError
    from sm_private_client.inference.retry_rules import classify

    if isinstance(error, PrivateClientError):  # no private route, a public address, …
        return not isinstance(error, PayloadError)
    return classify(error).name in _OF_EVERY_CALL


def _concurrency(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter("--concurrency takes a number from 1 on, or auto.")
    return int(text)


def _check_different(**paths: str | None) -> None:
    """Refuse to write over what is read, or to keep two things in one file."""
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None or path == STANDARD:
            continue
        other = seen.setdefault(Path(path).expanduser().resolve(), option)
        if other != option:
            raise typer.BadParameter(f"{other} and {option} name the same file.")


class _NotJson:
    """Stands for a line that is not JSON. No codec takes it, so it is never sent."""


class _Rows:
    """The lines of a file, as Python values, one at a time; blank ones are left out.

    Args:
        file: The file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._invalid: dict[int, int] = {}

    def __iter__(self) -> Iterator[Value]:
        index = 0
        for number, line in enumerate(self._file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError:
                self._invalid[index] = number
                value = _NotJson()
            yield value
            index += 1

    def line_of(self, index: int, answer: Value) -> tuple[bytes, bool]:
        """Return an answer, or an error, as a line of JSON, and True if it is an answer."""
        from botocore.exceptions import ClientError

        from sm_private_client.errors import PayloadError
        from sm_private_client.inference.codecs import encode

        error = answer
        if index in self._invalid:  # the parser's own text would show the line
            error = PayloadError(
                f"Line {self._invalid.pop(index)} is not JSON in UTF-8; nothing was sent for it.",
                remedy="mend that line.",
            )
        if not isinstance(error, Exception):
            try:
                return encode(answer, "application/json").body + b"\n", True
            except PayloadError as refused:
                error = refused
        record: dict[str, Any] = {"item": index, "type": type(error).__name__}
        if isinstance(error, ClientError):
            record["code"] = error.response.get("Error", {}).get("Code")
        record["message"] = str(error)
        return json.dumps({"error": record}).encode() + b"\n", False


class _SizedRows(_Rows):
    """Rows whose number is known, for a progress bar.

    Args:
        file: The file, which can be read twice.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._total = sum(1 for line in file if line.strip())
        file.seek(0)

    def __len__(self) -> int:
        return self._total


@contextlib.contextmanager
def _open_rows(path: str) -> Iterator[IO[bytes]]:
    """Open a file of JSON Lines for a ``with`` block; ``-`` is standard input.

    Raises:
        typer.BadParameter: It cannot be read.
    """
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).expanduser().open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path!r} cannot be read: {error.strerror}.") from error
    with file:
        yield file
