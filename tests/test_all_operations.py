"""Every operation of every routable service goes through its own VPC endpoint and nowhere else."""

from __future__ import annotations

import datetime as dt
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape

from as_read import as_read, operations_read
from sm_private_client.privatelink.services import routable_service_names
from sm_private_client.testing import LocalPrivateLink

LEAST_OPERATIONS = {
    "sagemaker": 362,  # of boto3 1.40.0; 425 of 1.44.5
    "sagemaker-runtime": 3,
    "sagemaker-featurestore-runtime": 3,
    "sagemaker-metrics": 1,
    "sagemaker-geospatial": 19,
}


def least(shape: Any) -> Any:
    """Return the smallest value that botocore's own validation lets through."""
    name = shape.type_name
    if name == "structure":
        wanted = shape.required_members or (list(shape.members)[:1] if _is_union(shape) else [])
        return {member: least(shape.members[member]) for member in wanted}
    if name == "list":
        return [least(shape.member)] * max(1, shape.metadata.get("min", 0))
    if name == "map":
        return {least(shape.key): least(shape.value)}
    simple: dict[str, Any] = {
        "integer": max(1, int(shape.metadata.get("min", 0))),
        "long": max(1, int(shape.metadata.get("min", 0))),
        "float": 1.0,
        "double": 1.0,
        "boolean": True,
        "timestamp": dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
        "blob": b"1",
    }
    if name in simple:
        return simple[name]
    return (getattr(shape, "enum", None) or ["a" * max(1, shape.metadata.get("min", 0))])[0]


def _is_union(shape: Shape) -> bool:
    return bool(getattr(shape, "is_tagged_union", False))


def status_of(client: Any, operation: str, arguments: Any) -> int:
    try:
        answer = client._make_api_call(operation, arguments)
    except ClientError as error:
        answer = error.response
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


@as_read
@pytest.mark.parametrize("service", routable_service_names())
def test_the_walk_below_meets_as_many_as_there_are(service: str) -> None:
    """It does not shrink unnoticed."""
    model = botocore.session.Session().get_service_model(service)
    assert len(operations_read(model)) >= LEAST_OPERATIONS[service]


@pytest.mark.parametrize(
    "private_dns",
    [
        pytest.param(False, id="vpce name"),
        pytest.param(
            True, id="private DNS", marks=pytest.mark.slow(reason="all operations once more")
        ),
    ],
)
@pytest.mark.parametrize("service", routable_service_names())
def test_every_operation_dials_its_vpc_endpoint_only(service: str, private_dns: bool) -> None:
    """Dialled address, SNI, Host and signing region are right; no other host is touched."""
    region = "us-west-2"  # the only region of sagemaker-geospatial
    model = botocore.session.Session().get_service_model(service)
    with LocalPrivateLink(
        region=region, services=routable_service_names(), private_dns=private_dns
    ) as link:
        once: Any = {"mode": "standard", "total_max_attempts": 1}
        session: Any = link.session()
        client = session.client(service, config=Config(retries=once))
        standing = link.vpc_endpoint(service)
        addresses = {a.address for a in session.route(service).addresses}
        host = session.route(service).host
        assert (".vpce." in host) is not private_dns
        for operation in operations_read(model):
            shape = model.operation_model(operation).input_shape
            link.requests.clear()
            link.network.dialled.clear()
            status = status_of(client, operation, least(shape) if shape else {})
            assert 200 <= status < 500, operation
            assert len(link.requests) == 1, operation
            record = link.requests[0]
            assert {address for address, _ in link.network.dialled} <= addresses, operation
            assert (
                record.service_name,
                record.operation,
                record.vpc_endpoint_id,
                record.sni,
                record.host,
                record.signing_region,
                record.signing_service,
            ) == (
                service,
                operation,
                standing.vpc_endpoint_id,
                host,
                host,
                region,
                model.signing_name,
            )
            assert record.address in addresses, operation
        assert (link.internet.connections, link.internet.bytes_received) == (0, 0)
