"""Which operation a request is, from botocore's own service models."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from sm_private_client.testing.http_connection import Request

__all__ = ["ServiceOperations", "operations_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    operation: str
    parameters: int


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
        self._names = frozenset(model.operation_names)
        self._rules = () if self.is_json else self._make_rules()

    def find(self, request: Request) -> str | None:
        """Gives the name of the operation that a request is; ``None``: of none."""
        if self.is_json:
            prefix, _, name = (request.header("x-amz-target") or "").partition(".")
            known = prefix == self.model.metadata["targetPrefix"] and name in self._names
            return name if known and request.path == "/" else None
        for rule in self._rules:
            if rule.method == request.method and rule.path.fullmatch(request.path):
                return rule.operation
        return None

    def path_parameters(self, operation: str, path: str) -> dict[str, str]:
        """Gives the parameters in a path, still encoded."""
        for rule in self._rules:
            match = rule.path.fullmatch(path)
            if rule.operation == operation and match:
                return match.groupdict()
        return {}

    def operation(self, name: str) -> OperationModel:
        """Gives botocore's model of an operation."""
        return self.model.operation_model(name)

    def _make_rules(self) -> tuple[_Rule, ...]:
        rules = []
        for name in self.model.operation_names:
            http: Any = self.model.operation_model(name).http
            template = re.split(r"\{(\w+)(\+?)\}", http["requestUri"].partition("?")[0])
            pattern = re.escape(template[0])
            for parameter, greedy, text in zip(
                template[1::3], template[2::3], template[3::3], strict=True
            ):
                inside = ".+" if greedy else "[^/]+"
                pattern += f"(?P<{parameter}>{inside})" + re.escape(text)
            rules.append(
                _Rule(
                    method=http["method"],
                    path=re.compile(pattern),
                    operation=name,
                    parameters=len(template) // 3,
                )
            )
        return tuple(sorted(rules, key=lambda rule: rule.parameters))


@functools.cache
def operations_of(service_name: str) -> ServiceOperations:
    """Return the operations of a service, whose model a process reads once."""
    document = create_loader().load_service_model(service_name, "service-2")
    return ServiceOperations(service_name, ServiceModel(document, service_name))
