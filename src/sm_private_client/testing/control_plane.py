"""Everything that is not SageMaker's own front: EC2, STS, S3, IAM and so on, played by moto."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs

from moto.core.base_backend import BackendDict
from moto.core.model_instances import model_data
from moto.core.request import Request as MotoRequest
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
from sm_private_client.testing.aws_errors import AwsError, denied, other_service_error
from sm_private_client.testing.ec2 import PrivateLinkEC2
from sm_private_client.testing.http_connection import ConnectionCut, Request, Response
from sm_private_client.testing.signatures import KnownCredentials, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sm_private_client.testing.faults import Faults
    from sm_private_client.testing.gateways import Gateways
    from sm_private_client.testing.http_connection import Connection
    from sm_private_client.testing.runtime_faults import RetryAfter
    from sm_private_client.testing.vpc_endpoints import VpcEndpoints

__all__ = ["ControlPlane", "operation_of", "unplayed"]

_ACCOUNT_HEADER: Final = "x-moto-account-id"
_HOP_BY_HOP: Final = frozenset({"content-length", "transfer-encoding", "connection", "expect"})


class ControlPlane:
    """Answers API calls from moto's state of one account.

    Attributes:
        account_id: The account; every simulator has its own, so that none sees another's state.
        calls: How often each action was called, such as ``ec2:DescribeVpcEndpoints``.
        region: The region of what names none.
        partition: The partition.
        page_size: The largest page of DescribeVpcEndpoints; ``None``: EC2's own.
        participant: Whether VPC endpoints are hidden as from a shared VPC's participant.
    """

    def __init__(self, *, account_id: str, region: str, partition: str, faults: Faults) -> None:
        self.account_id = account_id
        self.region = region
        self.calls: Counter[str] = Counter()
        self.page_size: int | None = None
        self.participant = False
        self.vpc_endpoints: VpcEndpoints | None = None
        self.gateways: Gateways | None = None
        self.partition = partition
        self._faults = faults
        # moto's backends are not made for several threads at once.
        self._lock = threading.RLock()
        self._application = DomainDispatcherApplication(create_backend_app)
        user = self._iam().create_user(region, "private-link")
        self.user_arn: str = user.arn
        key = self._iam().create_access_key("private-link")
        self.access_key_id: str = key.access_key_id
        self.secret_access_key: str = key.secret_access_key

    def answer(self, request: Request, _connection: Connection) -> Response:
        """Answers another service's request."""
        service = _service_of(request)
        action = f"{service}:{operation_of(request)}"
        if self._faults.take("reset-before-model", service):
            raise ConnectionCut
        response = self._answer(request, service, action)
        if self._faults.take("reset-after-model", service):
            raise ConnectionCut
        return response

    def begin(self, request: Request, _connection: Connection) -> None:
        """Looks at another service's request whose body has not been read yet.

        Raises:
            ConnectionCut: A fault resets the connection.
        """
        if self._faults.take("reset-before-body", _service_of(request)):
            raise ConnectionCut

    def _answer(self, request: Request, service: str, action: str) -> Response:
        try:
            self.check(action)
            if service == "ec2" and self.vpc_endpoints is not None and self.gateways is not None:
                handler = PrivateLinkEC2(
                    self.vpc_endpoints,
                    self.gateways,
                    page_size=self.page_size,
                    participant=self.participant,
                )
                host = request.header("host") or ""
                return self._played(action, lambda: self._dispatch(handler, request, host=host))
            return self._played(action, lambda: self._run(request))
        except AwsError as refusal:
            is_json = request.header("x-amz-target") is not None
            return other_service_error(service, refusal, is_json=is_json)

    def check(self, action: str) -> None:
        """Counts a call.

        Raises:
            Refusal: A fault denies or throttles it.
        """
        with self._lock:
            self.calls[action] += 1
        if action.startswith("ec2:") and not action.startswith("ec2:Describe"):
            forget_shared_answers()
        service = action.partition(":")[0]
        if self._faults.take("deny", action):
            because = f"because no identity-based policy allows the {action} action"
            who = f"User: {self.user_arn} is not authorized to perform: {action} {because}"
            raise denied(service, who)
        if throttle := self._faults.take("throttle", action):
            retry_after = cast("RetryAfter", throttle.value)
            if service == "ec2":
                raise AwsError(
                    "RequestLimitExceeded",
                    "Request limit exceeded.",
                    503,
                    retry_after=retry_after,
                )
            raise AwsError("ThrottlingException", "Rate exceeded", 429, retry_after=retry_after)

    def sagemaker(self, request: Request, *, host: str) -> Response:
        """Answers a call of SageMaker's API from moto."""
        return _without_empty_capture(self._family(SageMakerResponse(), request, host=host))

    def sagemaker_metrics(self, request: Request, *, host: str) -> Response:
        """Answers a call of SageMaker Metrics from moto."""
        return self._family(SageMakerMetricsResponse(), request, host=host)

    def call_sagemaker(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Calls SageMaker's API from inside, unsigned.

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
        if response.status >= 400:  # noqa: PLR2004
            raise ValueError(f"{operation}: {document.get('message', document)}")
        return dict(document)

    def endpoint_status(self, endpoint_name: str, region: str) -> str | None:
        """Gives the status of an inference endpoint; ``None``: there is none."""
        with self._lock:
            found = sagemaker_backends[self.account_id][region].endpoints.get(endpoint_name)
            return str(found.endpoint_status) if found is not None else None

    def need_bucket(self, bucket: str) -> None:
        """Makes a bucket where it is missing.

        Raises:
            ConfigurationError: Another account has it: names of buckets are the world's.
        """
        with self._lock:
            backend = s3_backends[self.account_id][self.partition]
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
        """Writes an object; the bucket is made where it is missing."""
        with self._lock:
            self.need_bucket(bucket)
            s3_backends[self.account_id][self.partition].put_object(bucket, key, body)

    def get_object(self, bucket: str, key: str) -> bytes | None:
        """Reads an object; ``None`` where there is none."""
        with self._lock:
            held = s3_backends[self.account_id][self.partition].buckets.get(bucket)
            found = held.keys.get(key) if held is not None else None
            return bytes(found.value) if found is not None else None

    def find_credentials(self, access_key_id: str) -> KnownCredentials | None:
        """Finds a user's key, or a role's that STS gave out."""
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

    def role_credentials(self, role_name: str) -> dict[str, str]:
        """Gives credentials of a role for an hour, as an instance profile's are told."""
        with self._lock:
            role_arn = f"arn:{self.partition}:iam::{self.account_id}:role/{role_name}"
            made = sts_backends[self.account_id][self.partition].assume_role(
                self.region, "i-0123456789abcdef0", role_arn, "", 3600, ""
            )
            stamp = "%Y-%m-%dT%H:%M:%SZ"
            return {
                "Code": "Success",
                "LastUpdated": (made.expiration - dt.timedelta(hours=1)).strftime(stamp),
                "Type": "AWS-HMAC",
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret_access_key,
                "Token": made.session_token,
                "Expiration": made.expiration.strftime(stamp),
            }

    def ec2_backend(self, region: str) -> Any:  # noqa: ANN401 - moto's
        """Gives moto's EC2 of the account, to be used under ``locked``."""
        from moto.ec2.models import ec2_backends  # noqa: PLC0415 - heavy; only some need it

        return ec2_backends[self.account_id][region]

    @contextlib.contextmanager
    def ec2(self, region: str) -> Iterator[Any]:
        """Gives moto's EC2 of the account while nobody else uses it."""
        with self._lock:
            yield self.ec2_backend(region)

    def locked(self) -> contextlib.AbstractContextManager[object]:
        """Gives the lock that guards moto's state."""
        return self._lock

    def forget(self) -> None:
        """Takes the account out of every backend of moto's."""
        with self._lock:
            for backends in tuple(BackendDict._instances):  # noqa: SLF001 - moto has no other way
                dict.pop(backends, self.account_id, None)
            owned = s3_backends.bucket_accounts
            for bucket in [b for b, owner in owned.items() if owner[1] == self.account_id]:
                owned.pop(bucket, None)
            # moto keeps every object of EC2 for its dashboard, 1,300 AMIs an account among them.
            for model in model_data["ec2"].values():
                model.instances_tracked.clear()  # set by moto

    def _family(self, handler: Any, request: Request, *, host: str) -> Response:  # noqa: ANN401
        return self._played(
            operation_of(request), lambda: self._dispatch(handler, request, host=host)
        )

    @staticmethod
    def _played(action: str, play: Callable[[], Response]) -> Response:
        try:
            return play()
        except NotImplementedError:
            raise unplayed(action) from None
        except Exception as error:
            # moto stumbles over some valid input; a 500 would be retried by every client.
            raise AwsError(
                "UnsupportedOperation",
                f"The simulator cannot play {action}: {type(error).__name__} in moto.",
            ) from error

    def _dispatch(self, handler: Any, request: Request, *, host: str) -> Response:  # noqa: ANN401
        with self._lock:
            status, headers, body = handler._dispatch(self._translate(request, host))  # noqa: SLF001
        return _response(status, headers, body)

    def _run(self, request: Request) -> Response:
        environ = self._translate(request, request.header("host") or "").environ
        with self._lock:
            parts, status, headers = run_wsgi_app(self._application, environ, buffered=True)
            body = b"".join(parts)
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

    def _iam(self) -> Any:  # noqa: ANN401 - moto's
        return iam_backends[self.account_id][self.partition]


def _without_empty_capture(response: Response) -> Response:
    """Leaves an empty DataCaptureConfig out, as SageMaker does; the SageMaker SDK stumbles over it.

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


def unplayed(operation: str) -> AwsError:
    """Gives the error for what nobody plays."""
    return AwsError("UnsupportedOperation", f"The simulator does not play {operation}.")


def _service_of(request: Request) -> str:
    scope = scope_of(request)
    return scope.service if scope else "s3"  # presigned URLs are of S3


def operation_of(request: Request) -> str:
    """Reads what a request asks for: the operation, or the method where it stands in the path."""
    target = request.header("x-amz-target")
    if target:
        return target.rpartition(".")[2]
    form = parse_qs(request.body.decode("utf-8", "replace")) if request.method == "POST" else {}
    return form.get("Action", [request.method])[0]


def _response(status: int, headers: Mapping[str, Any], body: bytes | str) -> Response:
    kept = tuple(
        (name, str(value))
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP - {"content-length"} and name.lower() != "status"
    )
    return Response(
        status=status, headers=kept, body=body.encode() if isinstance(body, str) else body
    )
