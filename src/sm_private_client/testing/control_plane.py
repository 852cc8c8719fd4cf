"""ControlPlane: moto's side of the simulator, which plays EC2, STS, S3, IAM and SageMaker's API."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections import Counter
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs

from moto.core.base_backend import BackendDict
from moto.core.model_instances import model_data
from moto.core.request import Request as MotoRequest
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakermetrics.responses import SageMakerMetricsResponse
from moto.sts.models import sts_backends
from werkzeug.test import run_wsgi_app

from sm_private_client.errors import ConfigurationError
from sm_private_client.routing.discovery import forget_shared_answers
from sm_private_client.testing.aws_errors import (
    AwsError,
    denied,
    other_service_error,
    unsupported,
)
from sm_private_client.testing.ec2 import PrivateLinkEC2
from sm_private_client.testing.http_connection import Request, Response
from sm_private_client.testing.signatures import KnownCredentials, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.http_connection import Connection
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["ControlPlane", "MotoObject", "operation_of"]

MotoObject: TypeAlias = Any
"""A backend, a resource or a result of moto's, which have no types."""

_ACCOUNT_HEADER: Final = "x-moto-account-id"
_HOP_BY_HOP: Final = frozenset({"content-length", "transfer-encoding", "connection", "expect"})
_TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%SZ"


class ControlPlane:
    """Answers API calls from moto's state of one account.

    Attributes:
        account_id: The account; every simulator has its own, so that none sees another's state.
        calls: How often each action was called, such as ``ec2:DescribeVpcEndpoints``.
        region: The region of what names none.
        partition: The partition's name.
        page_size: The largest page of DescribeVpcEndpoints; ``None``: EC2's own.
        participant: Whether VPC endpoints are hidden as from a shared VPC's participant.
        vpc_endpoints: Sets moto's VPC endpoints up; it is given once there are listeners.
    """

    def __init__(self, *, account_id: str, region: str, partition: str, faults: Faults) -> None:
        self.account_id = account_id
        self.region = region
        self.partition = partition
        self.calls: Counter[str] = Counter()
        self.page_size: int | None = None
        self.participant = False
        self.vpc_endpoints: VpcEndpoints | None = None
        self._faults = faults
        # moto's backends are not made for several threads at once.
        self._lock = threading.RLock()
        self._application = DomainDispatcherApplication(create_backend_app)
        self.user_arn: str = self._iam().create_user(region, "private-link").arn
        key = self._iam().create_access_key("private-link")
        self.access_key_id: str = key.access_key_id
        self.secret_access_key: str = key.secret_access_key

    def on_head(self, request: Request, _connection: Connection) -> None:
        """Look at another service's request whose body has not been read yet.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        self._faults.cut_if("reset-before-body", _service_of(request))

    def answer(self, request: Request, _connection: Connection) -> Response:
        """Answer another service's request.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        service = _service_of(request)
        action = f"{service}:{operation_of(request)}"
        self._faults.cut_if("reset-before-model", service)
        try:
            self.check(action)
            if service == "ec2" and self.vpc_endpoints is not None:
                handler = PrivateLinkEC2(
                    self.vpc_endpoints, page_size=self.page_size, participant=self.participant
                )
                response = self._dispatch(handler, request, request.header("host") or "", action)
            else:
                response = _play(action, lambda: self._run_application(request))
        except AwsError as error:
            is_json = request.header("x-amz-target") is not None
            response = other_service_error(service, error, is_json=is_json)
        self._faults.cut_if("reset-after-model", service)
        return response

    def check(self, action: str) -> None:
        """Count a call.

        Raises:
            AwsError: A fault denies or throttles it.
        """
        with self._lock:
            self.calls[action] += 1
        if action.startswith("ec2:") and not action.startswith("ec2:Describe"):
            forget_shared_answers()
        service = action.partition(":")[0]
        if self._faults.take("deny", action):
            raise denied(
                service,
                f"User: {self.user_arn} is not authorized to perform: {action} because no "
                f"identity-based policy allows the {action} action",
            )
        if throttle := self._faults.take("throttle", action):
            code, message, status = ("ThrottlingException", "Rate exceeded", 429)
            if service == "ec2":
                code, message, status = ("RequestLimitExceeded", "Request limit exceeded.", 503)
            raise AwsError(code, message, status, retry_after=throttle.value)

    def sagemaker(self, request: Request, *, host: str) -> Response:
        """Answer a call of SageMaker's API from moto."""
        response = self._dispatch(SageMakerResponse(), request, host, operation_of(request))
        return _without_empty_capture(response)

    def sagemaker_metrics(self, request: Request, *, host: str) -> Response:
        """Answer a call of SageMaker Metrics from moto."""
        return self._dispatch(SageMakerMetricsResponse(), request, host, operation_of(request))

    def call_sagemaker(self, operation: str, **parameters: object) -> dict[str, Any]:
        """Call SageMaker's API from inside, unsigned.

        Raises:
            ValueError: It answers with an error.
        """
        response = self.sagemaker(
            Request(
                method="POST",
                target="/",
                headers=(
                    ("content-type", "application/x-amz-json-1.1"),
                    ("x-amz-target", f"SageMaker.{operation}"),
                ),
                body=json.dumps(parameters).encode(),
            ),
            host=f"api.sagemaker.{self.region}.amazonaws.com",
        )
        document = json.loads(response.body or b"{}") if isinstance(response.body, bytes) else {}
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ValueError(f"{operation}: {document.get('message', document)}")
        return dict(document)

    def endpoint_status(self, endpoint_name: str) -> str | None:
        """Return the status of an inference endpoint; ``None``: there is none."""
        with self._lock:
            backend = sagemaker_backends[self.account_id][self.region]
            found = backend.endpoints.get(endpoint_name)
            return str(found.endpoint_status) if found is not None else None

    def ensure_bucket(self, bucket: str) -> None:
        """Make a bucket if it is missing.

        Raises:
            ConfigurationError: Another account has it: names of buckets are the world's.
        """
        with self._lock:
            backend = self._s3()
            if bucket in backend.buckets:
                return
            try:
                backend.create_bucket(bucket, self.region)
            except S3ClientError as error:
                raise ConfigurationError(
                    f"There can be no bucket {bucket!r} in this account.",
                    cause=str(error.message),
                    remedy="choose another name; simulators that run at once share one name space.",
                ) from error

    def put_object(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object; the bucket is made if it is missing."""
        with self._lock:
            self.ensure_bucket(bucket)
            self._s3().put_object(bucket, key, body)

    def get_object(self, bucket: str, key: str) -> bytes | None:
        """Read an object; ``None``: there is none."""
        with self._lock:
            found_bucket = self._s3().buckets.get(bucket)
            found = found_bucket.keys.get(key) if found_bucket is not None else None
            return bytes(found.value) if found is not None else None

    def find_credentials(self, access_key_id: str) -> KnownCredentials | None:
        """Return what is known of a user's key, or of a role's that STS gave out."""
        with self._lock:
            for account in list(sts_backends.values()):
                for backend in list(account.values()):
                    role = backend.get_assumed_role_from_access_key(access_key_id)
                    if role is not None:
                        return KnownCredentials(
                            secret_access_key=role.secret_access_key,
                            session_token=role.session_token,
                            expiration=role.expiration,
                            principal_arn=role.arn,
                        )
            key = self._iam().access_keys.get(access_key_id)
            if key is None or key.status != "Active":
                return None
            return KnownCredentials(
                secret_access_key=key.secret_access_key,
                principal_arn=self._iam().get_user(key.user_name).arn,
            )

    def role_arn(self, role_name: str) -> str:
        """Return the ARN of a role of the account."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{role_name}"

    def role_credentials(self, role_name: str) -> dict[str, str]:
        """Return credentials of a role for an hour, as an instance profile has them."""
        with self._lock:
            role = sts_backends[self.account_id][self.partition].assume_role(
                self.region, "i-0123456789abcdef0", self.role_arn(role_name), "", 3600, ""
            )
        return {
            "Code": "Success",
            "LastUpdated": (role.expiration - dt.timedelta(hours=1)).strftime(_TIMESTAMP),
            "Type": "AWS-HMAC",
            "AccessKeyId": role.access_key_id,
            "SecretAccessKey": role.secret_access_key,
            "Token": role.session_token,
            "Expiration": role.expiration.strftime(_TIMESTAMP),
        }

    @contextlib.contextmanager
    def ec2(self, region: str | None = None) -> Iterator[MotoObject]:
        """Give moto's EC2 of the account while nobody else uses it.

        Raises:
            ConfigurationError: moto does not know the region.
        """
        region = region or self.region
        with self._lock:
            try:
                backend = ec2_backends[self.account_id][region]
            except KeyError:
                raise ConfigurationError(
                    f"moto plays no EC2 in {region}.",
                    remedy="choose a region that moto knows, such as us-east-1 or cn-north-1.",
                ) from None
            yield backend

    def forget(self) -> None:
        """Take the account out of every backend of moto's."""
        with self._lock:
            for backends in tuple(BackendDict._instances):  # noqa: SLF001 - moto has no other way
                dict.pop(backends, self.account_id, None)
            owned = s3_backends.bucket_accounts
            for bucket in [b for b, owner in owned.items() if owner[1] == self.account_id]:
                owned.pop(bucket, None)
            # moto keeps every object of EC2 for its dashboard, 1,300 AMIs an account among them.
            for model in model_data["ec2"].values():
                model.instances_tracked.clear()  # set by moto

    def _dispatch(self, handler: MotoObject, request: Request, host: str, action: str) -> Response:
        def play() -> Response:
            with self._lock:
                translated = self._translate(request, host)
                return _response(*handler._dispatch(translated))  # noqa: SLF001 - as moto's server calls it

        return _play(action, play)

    def _run_application(self, request: Request) -> Response:
        environ = self._translate(request, request.header("host") or "").environ
        with self._lock:
            chunks, status, headers = run_wsgi_app(self._application, environ, buffered=True)
            body = b"".join(chunks)
        return _without_empty_capture(
            _response(int(status.split()[0]), dict(headers.items()), body)
        )

    def _translate(self, request: Request, host: str) -> MotoRequest:
        headers = {name: value for name, value in request.headers if name not in _HOP_BY_HOP}
        headers["host"] = host
        headers[_ACCOUNT_HEADER] = self.account_id
        translated = MotoRequest.from_primitives(
            request.method, f"http://{host}{request.target}", headers, request.body
        )
        translated.environ["RAW_URI"] = request.target
        return translated

    def _iam(self) -> MotoObject:
        return iam_backends[self.account_id][self.partition]

    def _s3(self) -> MotoObject:
        return s3_backends[self.account_id][self.partition]


def operation_of(request: Request) -> str:
    """Return the operation that a request names, or the method if it stands in the path."""
    target = request.header("x-amz-target")
    if target:
        return target.rpartition(".")[2]
    form = parse_qs(request.body.decode("utf-8", "replace")) if request.method == "POST" else {}
    return form.get("Action", [request.method])[0]


def _service_of(request: Request) -> str:
    scope = scope_of(request)
    return scope.service if scope else "s3"  # presigned URLs are of S3


def _play(action: str, play: Callable[[], Response]) -> Response:
    try:
        return play()
    except NotImplementedError:
        raise unsupported(action) from None
    except Exception as error:
        # moto stumbles over some valid input; a 500 would be retried by every client.
        raise AwsError(
            "UnsupportedOperation",
            f"The simulator cannot play {action}: {type(error).__name__} in moto.",
        ) from error


def _response(status: int, headers: Mapping[str, Any], body: bytes | str) -> Response:
    kept = tuple(
        (name, str(value))
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP - {"content-length"} and name.lower() != "status"
    )
    return Response(
        status=status, headers=kept, body=body.encode() if isinstance(body, str) else body
    )


def _without_empty_capture(response: Response) -> Response:
    """Leave an empty DataCaptureConfig out, as SageMaker does; the SageMaker SDK cannot read it.

    Its fields are all required (botocore's model, DataCaptureConfigSummary).
    """
    body = response.body
    if not isinstance(body, bytes) or b'"DataCaptureConfig"' not in body:
        return response
    document = json.loads(body)
    if document.get("DataCaptureConfig") != {}:
        return response
    del document["DataCaptureConfig"]
    return replace(response, body=json.dumps(document).encode())
