"""The metadata service of an EC2 instance (IMDSv2), which tells where the caller is."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Final

from sm_private_client.testing.http_connection import Response

if TYPE_CHECKING:
    from pathlib import Path

    from sm_private_client.testing.caller import Caller, CallerLocation
    from sm_private_client.testing.control_plane import ControlPlane
    from sm_private_client.testing.http_connection import Connection, Request

__all__ = ["METADATA_ADDRESS", "InstanceMetadata"]

METADATA_ADDRESS: Final = "169.254.169.254"

_TOKEN_PATH: Final = "/latest/api/token"  # noqa: S105 - a path
_ROLES: Final = "meta-data/iam/security-credentials/"


class InstanceMetadata:
    """Answers as IMDSv2 does; without a token it refuses.

    Attributes:
        root: A root of a file system whose firmware says that this is EC2, for ``locate``.
        environment: What the environment must say for the service to be looked for.
    """

    def __init__(
        self, *, root: Path, control: ControlPlane, caller: Caller, role_name: str | None
    ) -> None:
        self.root = root
        self.environment = {"AWS_EC2_METADATA_DISABLED": "false"}
        self._control = control
        self._caller = caller
        self._role_name = role_name
        self._token = secrets.token_urlsafe(32)
        vendor = root / "sys/class/dmi/id/sys_vendor"
        vendor.parent.mkdir(parents=True, exist_ok=True)
        vendor.write_text("Amazon EC2\n", encoding="ascii")

    def answer(self, request: Request, _connection: Connection) -> Response:
        """Answer one request."""
        if (request.method, request.path) == ("PUT", _TOKEN_PATH):
            if not (request.header("x-aws-ec2-metadata-token-ttl-seconds") or "").isdigit():
                return Response(status=400)
            return _text(self._token)
        if request.header("x-aws-ec2-metadata-token") != self._token:
            return Response(status=401)
        text = self._find(request.path.removeprefix("/latest/"))
        return Response(status=404) if text is None else _text(text)

    def _find(self, path: str) -> str | None:
        location, control, role = self._caller.location, self._control, self._role_name
        if location.subnet_id is None:
            return None  # on premises there is no such service
        if path == "dynamic/instance-identity/document":
            document = {
                "accountId": control.account_id,
                "availabilityZone": location.availability_zone,
                "privateIp": location.address,
                "region": control.region,
            }
            return json.dumps(document)
        if role is not None and path == _ROLES:
            return role
        if role is not None and path == f"{_ROLES}{role}":
            return json.dumps(control.role_credentials(role))
        return self._facts(location).get(path.removeprefix("meta-data/"))

    def _facts(self, location: CallerLocation) -> dict[str, str | None]:
        control = self._control
        with control.ec2() as backend:
            vpc_cidr = str(backend.get_vpc(location.vpc_id).cidr_block)
            subnet_cidr = str(backend.get_subnet(location.subnet_id).cidr_block)
        interface = f"network/interfaces/macs/{location.mac}"
        return {
            "local-ipv4": location.address,
            "mac": location.mac,
            "network/interfaces/macs/": f"{location.mac}/",
            f"{interface}/interface-id": location.network_interface_id,
            f"{interface}/local-ipv4s": location.address,
            f"{interface}/owner-id": control.account_id,
            f"{interface}/security-group-ids": "\n".join(location.security_group_ids),
            f"{interface}/subnet-id": location.subnet_id,
            f"{interface}/subnet-ipv4-cidr-block": subnet_cidr,
            f"{interface}/vpc-id": location.vpc_id,
            f"{interface}/vpc-ipv4-cidr-block": vpc_cidr,
            "placement/availability-zone": location.availability_zone,
            "placement/availability-zone-id": location.availability_zone_id,
            "placement/region": control.region,
        }


def _text(text: str) -> Response:
    return Response(status=200, headers=(("Content-Type", "text/plain"),), body=text.encode())
