"""The operations on tasks: each asks AUI, by way of a worker, and returns what it says."""

from typing import Any, Unpack

from worker.client.asking import Asking
from worker.client.models import Message, Task, TaskPage
from worker.client.requests import JobOptions
from worker.core.operation import Operation

OPERATION_TIMEOUT = 60.0


class Operations:
    """A part of :class:`worker.client.Client`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def create_task(
        self,
        user_id: str,
        *,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109  of the answer, not of this call
        **options: Unpack[JobOptions],
    ) -> Task:
        """Begin a conversation.

        Args:
            user_id: whose it is.
            timeout: seconds to wait for it.
            **options: ``network``, ``channel``, ``job_id``, ``correlation_id``, ``expires_in``.

        Raises:
            InvalidRequest, NotAccepted, NotListening, JobFailed, NoAnswer: as :meth:`ask`.
        """
        body = {"user_id": user_id}
        reply = await self._asking.operate(Operation.CREATE, body, timeout, options)
        return Task.read(reply.body)

    async def list_tasks(
        self,
        user_id: str,
        page: int = 1,
        size: int = 50,
        *,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109  of the answer, not of this call
        **options: Unpack[JobOptions],
    ) -> TaskPage:
        """Return the conversations of a user, in AUI's order.

        Args:
            user_id: whose.
            page: which page, from 1.
            size: how many to a page, up to 100.
            timeout: seconds to wait for it.
            **options: as those of :meth:`create_task`.

        Raises:
            InvalidRequest, NotAccepted, NotListening, JobFailed, NoAnswer: as :meth:`ask`.
        """
        body: dict[str, Any] = {"user_id": user_id, "page": page, "size": size}
        reply = await self._asking.operate(Operation.LIST, body, timeout, options)
        return TaskPage.read(reply.body)

    async def task_messages(
        self,
        task_id: str,
        *,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109  of the answer, not of this call
        **options: Unpack[JobOptions],
    ) -> list[Message]:
        """Return what was said in a conversation, oldest first.

        Args:
            task_id: which.
            timeout: seconds to wait for it.
            **options: as those of :meth:`create_task`.

        Raises:
            InvalidRequest, NotAccepted, NotListening, JobFailed, NoAnswer: as :meth:`ask`.
        """
        body = {"task_id": task_id}
        reply = await self._asking.operate(Operation.MESSAGES, body, timeout, options)
        return [Message.read(message) for message in reply.body if isinstance(message, dict)]
