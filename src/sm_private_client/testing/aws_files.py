"""The files and variables that lead unmodified boto3 to the simulator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SIBLINGS", "AwsFiles"]

SIBLINGS: Final = (
    "cloudwatch",
    "cloudwatch_logs",
    "ec2",
    "ecr",
    "eventbridge",
    "iam",
    "kms",
    "lambda",
    "s3",
    "s3_control",
    "secrets_manager",
    "service_catalog",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
"""Services beside SageMaker, as the ``services`` section names them; SageMaker's own are not
among them, because finding the way to those is what is tested."""


class AwsFiles:
    """A config and a credentials file, readable by their owner only.

    Attributes:
        config: The config file.
        credentials: The credentials file.
        network_config: A config file without URLs: siblings have their own host names.
        ca_bundle: The simulator's certificate authority.
        corporate_ca_bundle: That, and the authority of a company that inspects TLS.
    """

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config"
        self.network_config = directory / "network-config"
        self.credentials = directory / "credentials"
        self.ca_bundle = directory / "ca.pem"
        self.corporate_ca_bundle = directory / "corporate-ca.pem"

    def write(self, *, region: str, port: int, access_key_id: str, secret_access_key: str) -> None:
        """Writes the files for a simulator whose sibling services are at a port."""
        url = f"http://127.0.0.1:{port}"
        services = "".join(f"{name} =\n  endpoint_url = {url}\n" for name in SIBLINGS)
        default = f"[default]\nregion = {region}\nca_bundle = {self.ca_bundle}\n"
        _write(
            self.config, f"{default}services = private-link\n\n[services private-link]\n{services}"
        )
        _write(self.network_config, default)
        _write(
            self.credentials,
            f"[default]\naws_access_key_id = {access_key_id}\n"
            f"aws_secret_access_key = {secret_access_key}\n",
        )


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
