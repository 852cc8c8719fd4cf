"""``sm-private-client invoke``: calls a model once: at once, as a stream, or as a job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sm_private_client.cli import options
from sm_private_client.cli.console import STANDARD, exit_on_sigterm, open_output
from sm_private_client.cli.context import EXIT_STATUS, cli_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.cli.console import Output
    from sm_private_client.inference.predictor import Predictor
    from sm_private_client.types import Value

__all__ = ["app"]

_FILE_MARKS: Final = ("@", "fileb://")

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog=EXIT_STATUS)
def invoke(
    context: typer.Context,
    *,
    name: options.EndpointName,
    outfile: Annotated[
        str | None,
        typer.Argument(
            metavar="OUTFILE",
            help="Where the answer goes, mode 0600; - or none: stdout.",
            show_default=False,
        ),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(
            "--body",
            metavar="@FILE|-|TEXT",
            help="The payload: a file (also fileb://FILE), stdin, or the text itself.",
        ),
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option("--content-type", metavar="TYPE", help="The content type of the payload."),
    ] = None,
    accept: options.Accept = None,
    custom_attributes: options.CustomAttributes = None,
    target_model: options.TargetModel = None,
    target_variant: options.TargetVariant = None,
    target_container_hostname: options.TargetContainerHostname = None,
    inference_component_name: options.InferenceComponentName = None,
    inference_id: Annotated[
        str | None,
        typer.Option("--inference-id", metavar="ID", help="Names the call in captured data."),
    ] = None,
    session_id: Annotated[
        str | None,
        typer.Option("--session-id", metavar="ID", help="Of a stateful session, or NEW_SESSION."),
    ] = None,
    prefix_aware_id: Annotated[
        str | None,
        typer.Option("--prefix-aware-id", metavar="ID", help="For prefix-aware routing."),
    ] = None,
    enable_explanations: Annotated[
        str | None,
        typer.Option("--enable-explanations", metavar="TEXT", help="A JMESPath expression."),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write the parts of the answer as they come.")
    ] = False,
    is_async: Annotated[
        bool, typer.Option("--async", help="Submit an asynchronous job and wait for its answer.")
    ] = False,
    input_location: Annotated[
        str | None,
        typer.Option("--input-location", metavar="s3://…", help="With --async: instead of --body."),
    ] = None,
    s3_prefix: Annotated[
        str | None,
        typer.Option(
            "--s3-prefix",
            metavar="s3://…",
            help="With --async: where a payload of more than 128,000 bytes is put.",
        ),
    ] = None,
    invocation_timeout_seconds: Annotated[
        int | None,
        typer.Option(
            "--invocation-timeout-seconds", metavar="N", help="With --async: 1 to 3600 (900)."
        ),
    ] = None,
    request_ttl_seconds: Annotated[
        int | None,
        typer.Option(
            "--request-ttl-seconds", metavar="N", help="With --async: 60 to 21600 (21600)."
        ),
    ] = None,
    timeout: options.Timeout = None,
    region: options.Region = None,
    profile: options.Profile = None,
    vpc_endpoint: options.VpcEndpoint = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Call a model once and write its answer, as it is, to a file or stdout.

    --json prints what the service says about the answer on stderr.

    \b
    Examples:
      sm-private-client invoke churn-xgb --body 1,2,3 --content-type text/csv
      sm-private-client invoke churn-xgb --body @row.json --content-type application/json out.json
      sm-private-client invoke chat-llm --body @prompt.json --content-type application/json --stream
      sm-private-client invoke summarise-llm --body @big.json --async --s3-prefix s3://inputs/a/
    """
    if stream and is_async:
        raise typer.BadParameter("--stream and --async exclude each other.")
    of_jobs = (input_location, s3_prefix, invocation_timeout_seconds, request_ttl_seconds)
    if not is_async and any(value is not None for value in of_jobs):
        raise typer.BadParameter(
            "--input-location, --s3-prefix, --invocation-timeout-seconds and "
            "--request-ttl-seconds go with --async."
        )
    payload = _payload(body, input_location)
    session = cli_context(context).session(
        region=region, profile=profile, vpc_endpoint=vpc_endpoint
    )
    members = {
        "SessionId": session_id,
        "PrefixAwareId": prefix_aware_id,
        "EnableExplanations": enable_explanations,
        "InvocationTimeoutSeconds": invocation_timeout_seconds,
        "RequestTTLSeconds": request_ttl_seconds,
    }
    keywords = {
        "content_type": content_type,
        "accept": accept,
        "custom_attributes": custom_attributes,
        "inference_id": inference_id,
        "members": _without_none(members),
    }
    with exit_on_sigterm(), open_output(outfile) as output:
        predictor = session.predictor(
            name,
            target_model=target_model,
            target_variant=target_variant,
            target_container=target_container_hostname,
            inference_component=inference_component_name,
            s3_prefix=s3_prefix,
        )
        if is_async:
            _submit(predictor, payload, keywords, output, timeout, as_json=as_json)
        else:
            call = _stream if stream else _invoke
            metadata = call(predictor, payload, {**keywords, "timeout": timeout}, output)
            if as_json:
                _print_metadata(metadata)
        output.commit()


def _invoke(
    predictor: Predictor, payload: Value, keywords: Mapping[str, Any], output: Output
) -> dict[str, object]:
    response = predictor.invoke(payload, **keywords)
    output.write(response.body)
    return {
        **{name: value for name, value in response.members.items() if name != "Body"},
        "RequestId": response.request_id,
        "Attempts": response.attempts,
        "Seconds": round(response.seconds, 3),
        "AvailabilityZone": response.availability_zone,
    }


def _stream(
    predictor: Predictor, payload: Value, keywords: Mapping[str, Any], output: Output
) -> dict[str, object]:
    with predictor.stream(payload, **keywords) as stream:
        for chunk in stream.bytes():
            output.write(chunk)
        return {
            "ContentType": stream.content_type,
            "InvokedProductionVariant": stream.invoked_production_variant,
            "CustomAttributes": stream.custom_attributes,
            "RequestId": stream.request_id,
            "Parts": stream.parts_received,
            "AvailabilityZone": stream.availability_zone,
        }


def _submit(
    predictor: Predictor,
    payload: Value,
    keywords: Mapping[str, Any],
    output: Output,
    timeout: float | None,
    *,
    as_json: bool,
) -> None:
    from sm_private_client.inference.codecs.codec import BytesCodec

    job = predictor.submit(payload, codec=BytesCodec(), **keywords)
    # Printed before the wait: a user who ends the wait finds the answer by it.
    if as_json:
        _print_metadata(
            {
                "InferenceId": job.inference_id,
                "OutputLocation": job.output_location,
                "FailureLocation": job.failure_location,
            }
        )
    else:
        typer.echo(f"Submitted; the answer goes to {job.output_location}", err=True)
    output.write(job.result(timeout=timeout))


def _print_metadata(metadata: Mapping[str, object]) -> None:
    typer.echo(json.dumps(_without_none(metadata)), err=True)


def _without_none(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _payload(body: str | None, input_location: str | None) -> bytes | str:
    """Return what is sent, or the ``s3://bucket/key`` of an input that is in S3 already."""
    if input_location is not None and body is None:
        if not input_location.startswith("s3://"):
            raise typer.BadParameter("--input-location is not of the form s3://bucket/key.")
        return input_location
    if body is None or input_location is not None:
        raise typer.BadParameter("Pass --body, or with --async --input-location instead.")
    if body == STANDARD:
        return sys.stdin.buffer.read()
    for mark in _FILE_MARKS:
        if body.startswith(mark):
            try:
                return Path(body.removeprefix(mark)).expanduser().read_bytes()
            except OSError as error:
                raise typer.BadParameter(
                    f"--body {body!r} cannot be read: {error.strerror}."
                ) from error
    return body.encode()
