"""The operation that a request calls, from botocore's own service models."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from sm_private_client.testing.http_connection import Request

__all__ = ["ServiceOperations", "operations_of"]


class ServiceOperations:
    """The operations of one service.

    Attributes:
        service_name: boto3's name of the service.
        model: botocore's model of it.
        is_json: Whether the operation stands in ``X-Amz-Target`` rather than in the path.
        signing_name: The service in the scope of a good signature.
    """

    def __init__(self, service_name: str, model: ServiceModel) -> None:
        self.service_name = service_name
        self.model = model
        self.is_json = model.metadata["protocol"] == "json"
        self.signing_name = str(model.signing_name)
        self._paths = {} if self.is_json else self._path_patterns()

    def find(self, request: Request) -> str | None:
        """Return the name of the operation that a request calls; ``None``: of none."""
        if self.is_json:
            prefix, _, name = (request.header("x-amz-target") or "").partition(".")
            known = prefix == self.model.metadata["targetPrefix"]
            known = known and name in self.model.operation_names and request.path == "/"
            return name if known else None
        for name, pattern in self._paths.items():
            method: str = self.model.operation_model(name).http["method"]
            if method == request.method and pattern.fullmatch(request.path):
                return name
        return None

    def path_parameters(self, operation: str, path: str) -> dict[str, str]:
        """Return the parameters in a path, still encoded."""
        match = self._paths[operation].fullmatch(path)
        return match.groupdict() if match else {}

    def _path_patterns(self) -> dict[str, re.Pattern[str]]:
        """Return the patterns by operation; those with the fewest parameters come first."""
        patterns = {}
        for name in self.model.operation_names:
            http: Any = self.model.operation_model(name).http
            template = re.split(r"\{(\w+)(\+?)\}", http["requestUri"].partition("?")[0])
            pattern = re.escape(template[0])
            for parameter, greedy, text in zip(
                template[1::3], template[2::3], template[3::3], strict=True
            ):
                pattern += f"(?P<{parameter}>{'.+' if greedy else '[^/]+'})" + re.escape(text)
            patterns[name] = re.compile(pattern)
        return dict(sorted(patterns.items(), key=lambda named: named[1].groups))


@functools.cache
def operations_of(service_name: str) -> ServiceOperations:
    """Return the operations of a service, whose model a process reads once."""
    document = create_loader().load_service_model(service_name, "service-2")
    return ServiceOperations(service_name, ServiceModel(document, service_name))
