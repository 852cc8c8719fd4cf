"""Our own VPC, zone and subnets, as the platform shows them without an AWS call.

Probes, in order: Lambda, ECS, SageMaker's own files, then the EC2 instance metadata service
(only if the firmware is EC2's, so never by surprise elsewhere). A ``SageMakerResource`` is left
for the caller to ask SageMaker about.
"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from sm_private_client.routing.deadlines import run_within
from sm_private_client.routing.network import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sm_private_client.routing.network import NetworkBackend

__all__ = ["LOCATION_TIMEOUT", "Location", "SageMakerResource", "locate"]

LOCATION_TIMEOUT: Final = 1.0
"""Seconds for all probes together."""

_METADATA_ADDRESS: Final = "169.254.169.254"
_LAMBDA_PATH: Final = "/2026-01-15/metadata/execution-environment"


class SageMakerResource(NamedTuple):
    """What this process runs in, if only SageMaker knows its VPC.

    Attributes:
        kind: The resource's kind.
        name: A notebook instance's or training job's name, or a domain's id.
    """

    kind: Literal["notebook-instance", "domain", "training-job"]
    name: str


class Location(NamedTuple):
    """Where this process runs, as far as it is known.

    Attributes:
        vpc_id: The VPC.
        availability_zone: Its zone's name.
        availability_zone_id: Its zone's id; Lambda has only this.
        subnet_ids: Its subnets.
        resource: What SageMaker can be asked about.
        source: The probe that found it, in words; ``unknown`` if none did.
    """

    vpc_id: str | None = None
    availability_zone: str | None = None
    availability_zone_id: str | None = None
    subnet_ids: tuple[str, ...] = ()
    resource: SageMakerResource | None = None
    source: str = "unknown"


def locate(
    network: NetworkBackend,
    *,
    environ: Mapping[str, str],
    root: Path = Path("/"),
    timeout: float = LOCATION_TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
) -> Location:
    """Return where this process runs. Never raise; what cannot be read is not known.

    ``root`` is the root of the file system, ``timeout`` the seconds for all probes together.
    """
    deadline = clock() + timeout

    def fetch(url: str, method: str = "GET", **headers: str) -> str:
        left = deadline - clock()
        # The look-up, the connection and every read have a time limit each; this bounds the sum.
        return run_within(
            left, lambda: _fetch(network, url, method, headers, timeout=left), what=url
        )

    probes: tuple[Callable[[], Location | None], ...] = (
        lambda: _lambda(environ, fetch),
        lambda: _ecs(environ, fetch),
        lambda: _sagemaker_files(environ, root),
        lambda: _ec2(environ, root, fetch),
    )
    for probe in probes:
        try:
            found = probe()
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
            http.client.HTTPException,
        ):
            continue  # a platform that does not answer as documented is not known
        if found is not None:
            return found
    return Location()


class Fetch(Protocol):
    """Fetch a URL within what is left of the time."""

    def __call__(self, url: str, method: str = "GET", **headers: str) -> str: ...


def _lambda(environ: Mapping[str, str], fetch: Fetch) -> Location | None:
    api = environ.get("AWS_LAMBDA_METADATA_API")
    if not api:
        return None
    token = environ.get("AWS_LAMBDA_METADATA_TOKEN", "")
    answer = json.loads(fetch(f"http://{api}{_LAMBDA_PATH}", Authorization=f"Bearer {token}"))
    return Location(
        availability_zone_id=answer["AvailabilityZoneID"], source="Lambda's metadata endpoint"
    )


def _ecs(environ: Mapping[str, str], fetch: Fetch) -> Location | None:
    uri = environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if not uri:
        return None
    answer = json.loads(fetch(f"{uri}/task"))
    return Location(
        vpc_id=answer.get("VPCID"),  # only on the EC2 launch type
        availability_zone=answer.get("AvailabilityZone"),
        source="the ECS task metadata",
    )


def _sagemaker_files(environ: Mapping[str, str], root: Path) -> Location | None:
    processing = root / "opt/ml/config/processingjobconfig.json"
    if processing.is_file():
        answer = json.loads(processing.read_text(encoding="utf-8"))
        network_config = answer.get("NetworkConfig") or {}
        subnets = (network_config.get("VpcConfig") or {}).get("Subnets") or ()
        return Location(subnet_ids=tuple(subnets), source="the processing job's configuration")
    training_job = environ.get("TRAINING_JOB_NAME")
    if training_job:
        return Location(
            resource=SageMakerResource(kind="training-job", name=training_job),
            source="the training job's environment",
        )
    metadata = root / "opt/ml/metadata/resource-metadata.json"
    if metadata.is_file():
        answer = json.loads(metadata.read_text(encoding="utf-8"))
        if answer.get("DomainId"):
            resource = SageMakerResource(kind="domain", name=answer["DomainId"])
        else:
            resource = SageMakerResource(kind="notebook-instance", name=answer["ResourceName"])
        return Location(resource=resource, source="SageMaker's resource metadata")
    return None


def _ec2(environ: Mapping[str, str], root: Path, fetch: Fetch) -> Location | None:
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true" or not _is_ec2(root):
        return None
    base = f"http://{_METADATA_ADDRESS}/latest"
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = {"X-aws-ec2-metadata-token": fetch(f"{base}/api/token", "PUT", **lifetime)}

    def read(path: str) -> str:
        return str(fetch(f"{base}/meta-data/{path}", **token)).strip()

    zone, zone_id, mac = (
        read(path)
        for path in ("placement/availability-zone", "placement/availability-zone-id", "mac")
    )
    interface = f"network/interfaces/macs/{mac}"
    return Location(
        vpc_id=read(f"{interface}/vpc-id"),
        availability_zone=zone,
        availability_zone_id=zone_id,
        subnet_ids=(read(f"{interface}/subnet-id"),),
        source="the EC2 instance metadata",
    )


def _is_ec2(root: Path) -> bool:
    # Nitro instances have it in the DMI table, Xen ones in the hypervisor's UUID.
    vendor = _read(root / "sys/class/dmi/id/sys_vendor")
    return vendor.startswith("amazon ec2") or _read(root / "sys/hypervisor/uuid").startswith("ec2")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").lower()
    except (OSError, ValueError):
        return ""


def _fetch(
    network: NetworkBackend,
    url: str,
    method: str,
    headers: Mapping[str, str],
    *,
    timeout: float,
) -> str:
    if timeout <= 0:
        raise TimeoutError(f"no time left for {url}")
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    address = network.resolve(host, timeout=timeout)[0]
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.sock = connect(network, address, port, timeout=timeout)
    try:
        connection.request(method, parts.path, headers=dict(headers))
        with connection.getresponse() as response:  # it holds the socket beyond the connection
            if response.status != http.client.OK:
                raise OSError(f"{url} answered {response.status}")
            return response.read(65536).decode()
    finally:
        connection.close()
