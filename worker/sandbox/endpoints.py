"""The REST API of AUI's Tasks and Messages pages: tasks, histories, a message answered whole."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker.sandbox.backend import Backend, json_response
from worker.sandbox.dialect import GARBAGE, task_json
from worker.sandbox.refusal import (
    INTERNAL,
    MODERATION,
    UNAUTHORIZED,
    Failure,
    Refused,
    no_such_task,
)
from worker.sandbox.store import TaskMessage
from worker.sandbox.turns import Turn
from worker.sandbox.uvicorn_server import drop_connection
from worker.sandbox.validation import read_body, read_message, read_page, read_user_id

Endpoint = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """The four endpoints; each refuses with AUI's bodies and never with a bare 500."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint behind its doorman: standing faults first, then the key, then the rest."""

        async def answered(request: Request) -> Response:
            try:
                self._admit(request)
                return await endpoint(request)
            except Refused as refused:
                return self._backend.refusal(refused.failure, request)

        return answered

    async def create_task(self, request: Request) -> Response:
        """POST /tasks `{"user_id"}`: the new task."""
        user_id = read_user_id(await _json(request))
        return json_response(task_json(self._backend.store.create_task(user_id)))

    async def list_tasks(self, request: Request) -> Response:
        """GET /tasks?user_id=&page=&size=: `{"tasks", "total", "page", "size"}`."""
        page = read_page(request.query_params)
        tasks = self._backend.store.tasks_of(page.user_id)
        if self._backend.newest_first:
            tasks.reverse()
        first = (page.page - 1) * page.size
        shown = [task_json(task) for task in tasks[first : first + page.size]]
        return json_response(
            {"tasks": shown, "total": len(tasks), "page": page.page, "size": page.size}
        )

    async def list_messages(self, request: Request) -> Response:
        """GET /tasks/{task_id}/messages: the history, oldest first."""
        task_id = request.path_params["task_id"]
        store, dialect = self._backend.store, self._backend.dialect
        task = store.tasks.get(task_id)
        if task is None:
            raise Refused(no_such_task(task_id))
        return json_response([dialect.message(line, task) for line in store.history(task)])

    async def send_message(self, request: Request) -> Response:
        """POST /message: the agent's whole answer, as late as the last word of it."""
        turn = self._backend.turns.open(read_message(await _json(request)))
        outlet = ResponseOutlet(request, self._backend, turn)
        await self._backend.turns.play(turn, outlet)
        if outlet.response is None:
            await _hung_up(request)
            return Response()
        return outlet.response

    def _admit(self, request: Request) -> None:
        fault = self._backend.faults.take("rest")
        if fault is not None:
            raise Refused(fault.failure)
        if not self._backend.authorized(request):
            raise Refused(UNAUTHORIZED)


class ResponseOutlet:
    """One turn as a REST client hears it: not before the end, and only the first ending.

    `response` stays None when the client is to hear nothing.
    """

    def __init__(self, request: Request, backend: Backend, turn: Turn) -> None:
        self.response: Response | None = None
        self._request = request
        self._backend = backend
        self._turn = turn
        self._silent = False

    async def update(self, text: str) -> None:
        """Not heard."""

    async def finish(self, message: TaskMessage) -> None:
        """200 with the ExternalTaskMessage."""
        self._respond(json_response(self._backend.dialect.message(message, self._turn.task)))

    async def fail(self, failure: Failure, code: int) -> None:
        """The failure's own status and body."""
        self._respond(self._backend.refusal(failure, self._request))

    async def close(self, code: int) -> None:
        """What the close code would have meant: 400 for 1008, 500 for 1011, else hanging up."""
        failure = {1008: MODERATION, 1011: INTERNAL}.get(code)
        if failure is None:
            await self.drop(reset=False)
        else:
            await self.fail(failure, code)

    async def drop(self, *, reset: bool) -> None:
        """The connection lost, without a response."""
        drop_connection(self._request.scope, reset=reset)
        self._silent = True

    async def garbage(self) -> None:
        """200 with a body that is not JSON."""
        self._respond(Response(GARBAGE, media_type="text/html"))

    async def unknown(self) -> None:
        """Not heard."""

    async def hush(self) -> None:
        """No response, ever, unless there is one already."""
        self._silent = True

    def _respond(self, response: Response) -> None:
        if not self._silent and self.response is None:
            self.response = response


async def _json(request: Request) -> Any:
    return read_body(await request.body(), request.headers.get("content-type", ""))


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
