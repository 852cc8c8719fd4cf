"""AsyncInvoker: the Runtime's operations for asyncio, over the fast engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sm_private_client.inference.async_streams import AsyncStreamAnswer
from sm_private_client.inference.invokers import FIRST_ERROR, answer_of_http
from sm_private_client.inference.invoking import answered_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sm_private_client.inference.invokers import RuntimeModel
    from sm_private_client.inference.invoking import Answer
    from sm_private_client.inference.requests import RuntimeOperation
    from sm_private_client.transport.http import AsyncHttpTransport

__all__ = ["AsyncInvoker"]


class AsyncInvoker:
    """Carries operations, one attempt a call; what it raises is what ``Invoker`` says.

    Args:
        transport: What signs and sends.
        runtime: The operations.
    """

    name = "fast"

    def __init__(self, transport: AsyncHttpTransport, runtime: RuntimeModel) -> None:
        self._transport = transport
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"AsyncInvoker({self._transport!r})"

    @property
    def async_operation(self) -> RuntimeOperation:
        """InvokeEndpointAsync as the installed botocore has it."""
        return self._runtime.invoke_async

    async def invoke(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:
        """Does InvokeEndpoint."""
        return await self._send(self._runtime.invoke, params, timeout)

    async def invoke_async(self, params: Mapping[str, Any], *, timeout: float | None) -> Answer:
        """Does InvokeEndpointAsync."""
        return await self._send(self._runtime.invoke_async, params, timeout)

    async def stream(
        self, params: Mapping[str, Any], *, timeout: float | None
    ) -> AsyncStreamAnswer:
        """Does InvokeEndpointWithResponseStream."""
        operation = self._runtime.stream
        answer = await self._transport.stream(operation.request(params), timeout=timeout)
        if answer.status >= FIRST_ERROR:
            try:
                body = b"".join([chunk async for chunk in answer.chunks()])
            finally:
                await answer.close()
            error = self._runtime.error(operation, answer.status, answer.headers, body)
            raise answered_in(answer.availability_zone, error)
        return AsyncStreamAnswer(
            answer,
            operation.members(answer.headers),
            lambda parsed: self._runtime.made(operation, parsed),
        )

    async def close(self) -> None:
        """Closes idle connections."""
        await self._transport.close()

    async def _send(
        self, operation: RuntimeOperation, params: Mapping[str, Any], timeout: float | None
    ) -> Answer:
        answer = await self._transport.send(operation.request(params), timeout=timeout)
        return answer_of_http(self._runtime, operation, answer)
