"""What fresh processes do: ``python -m benchmarks.fresh KIND JSON``; they tell in JSON.

Nothing is imported up here that one kind needs and another does not.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def _boto3(*, url: str, **_: object) -> None:
    import boto3  # noqa: PLC0415 - what it costs is measured

    _call(boto3.client("sagemaker-runtime", endpoint_url=url))


def _client(*, port: int, route_cache: str, **_: object) -> None:
    from benchmarks import ours  # noqa: PLC0415 - what it costs is measured

    _call(ours.session(port, route_cache=route_cache).client("sagemaker-runtime"))


def _predictor(*, port: int, route_cache: str, **_: object) -> None:
    from benchmarks import ours  # noqa: PLC0415 - what it costs is measured

    ours.invoke(ours.session(port, route_cache=route_cache).predictor(ours.ENDPOINT_NAME))


def _call(client: Any) -> None:  # noqa: ANN401 - boto3's clients are made at run time
    client.invoke_endpoint(
        EndpointName="churn-xgb", ContentType="application/json", Body=b'{"instances": [[5.1]]}'
    )["Body"].read()


_KINDS: Final[dict[str, Callable[..., None]]] = {
    "boto3": _boto3,
    "client": _client,
    "predictor": _predictor,
}


def main(kind: str, told: str) -> None:
    """Do what a kind of process does and print what it measured."""
    if kind == "map":
        from benchmarks.mapping import measure  # noqa: PLC0415

        print(json.dumps(measure(**json.loads(told))))
        return
    _KINDS[kind](**json.loads(told))
    # This clock is the same in all processes of a machine.
    print(json.dumps({"answered": time.monotonic(), "cpu": time.process_time()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
