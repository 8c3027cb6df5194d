"""The sandbox's own routes, beside AUI's and without a key: for tests in other processes."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker.sandbox.backend import json_response
from worker.sandbox.faults import Faults
from worker.sandbox.refusal import Refused
from worker.sandbox.store import Store, Task, TaskMessage
from worker.sandbox.validation import read_json, read_user_id


class Admin:
    """`/sandbox/faults`, `/sandbox/tasks`, `/sandbox/messages` and `/sandbox/state`."""

    def __init__(self, faults: Faults, store: Store, state: Callable[[], dict[str, Any]]) -> None:
        self._faults = faults
        self._store = store
        self._state = state

    async def order_faults(self, request: Request) -> Response:
        """Takes `{"connect" | "upgrade" | "rest" | "answer": {…}, "scenario": "!…"}`, or a 422."""
        try:
            self._order(read_json(await request.body()))
        except (ValueError, Refused) as error:
            return json_response({"detail": str(error)}, 422)
        return json_response({"faults": self._faults.as_json()})

    async def clear_faults(self, _: Request) -> Response:
        """Forgets every fault."""
        self._faults.clear()
        return json_response({"faults": {}})

    async def create_task(self, request: Request) -> Response:
        """Takes `{"user_id", "task_id"?}`, also while AUI's own routes are out; a 422 if wrong."""
        try:
            body = read_json(await request.body())
            task = self._store.create_task(read_user_id(body), body.get("task_id"))
        except (ValueError, Refused) as error:
            return json_response({"detail": str(error)}, 422)
        return json_response({"id": task.id, "user_id": task.user_id})

    async def list_messages(self, request: Request) -> Response:
        """Every message, or those of `?task_id=`, in order, shown in a history yet or not."""
        task_id = request.query_params.get("task_id")
        tasks = list(self._store.tasks.values())
        if task_id is not None:
            tasks = [task for task in tasks if task.id == task_id]
        told = [_told(task, line) for task in tasks for line in task.messages]
        return json_response(sorted(told, key=lambda line: line["created_at"]))

    async def show_state(self, _: Request) -> Response:
        """The counts `Sandbox.state` gives."""
        return json_response(self._state())

    def _order(self, orders: Any) -> None:
        if not isinstance(orders, dict):
            raise ValueError("faults are a JSON object")  # noqa: TRY004 - a 422 like the others
        self._faults.order(orders)


def _told(task: Task, line: TaskMessage) -> dict[str, Any]:
    return {
        "id": line.id,
        "task_id": task.id,
        "user_id": task.user_id,
        "created_at": line.created_at,
        "sender": line.sender,
        "text": line.text,
        "request": dict(line.request),
    }
