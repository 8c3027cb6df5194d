"""A web backend: a browser's messages become jobs, a task's replies stream to it as they come.

    AMQP_URL=… python -m examples.web.backend      then open http://127.0.0.1:8080/

A browser that was cut off, or reloads, is told where things stand: nothing is lost, and nothing
shown twice. It may send a message again with the same id: that is one job.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from examples.bots.environment import number, required
from examples.web.rooms import Place, Room, Rooms
from worker.client import Client, ClientError, Failed, Final, InvalidRequest, Reply, Retrying

PAGE = Path(__file__).with_name("page.html")
KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent: proxies cut off what is silent for longer."""
NOT_KEPT = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def backend(aui: Client, rooms: Rooms) -> Starlette:
    """Return the application.

    It knows no users: put your own session here, and refuse whoever asks for another's task.
    """

    async def page(_request: Request) -> Response:
        return FileResponse(PAGE, headers={"Cache-Control": "no-cache"})

    async def create_task(request: Request) -> Response:
        body = await _body(request)
        task = await aui.create_task(body.get("user_id", ""), timeout=15)
        suggestions = task.followup_suggestions
        said = {"welcome": task.welcome_message, "suggestions": suggestions}
        return JSONResponse({"task_id": task.id, **said}, 201)

    async def send(request: Request) -> Response:
        body = await _body(request)
        task_id = body.get("task_id", "")
        room = await rooms.of(task_id)  # it listens before anything can be said
        job_id = await aui.send(body.get("text", ""), task_id=task_id, job_id=body.get("id"))
        room.note(job_id)
        return JSONResponse({"id": job_id}, 202)

    async def events(request: Request) -> Response:
        room = await rooms.of(request.path_params["task_id"])
        seen = _seen(request.headers.get("Last-Event-ID", ""))
        return StreamingResponse(_stream(room, seen), 200, NOT_KEPT, "text/event-stream")

    async def refused(_request: Request, error: Exception) -> Response:
        # What is wrong with the request is told; what is wrong on our side is logged alone.
        if isinstance(error, InvalidRequest):
            return JSONResponse({"error": str(error)}, 422)
        logging.getLogger(__name__).warning("%s", error)
        return JSONResponse({"error": "not now, please try again"}, 503)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/tasks", create_task, methods=["POST"]),
            Route("/messages", send, methods=["POST"]),
            Route("/tasks/{task_id}/events", events),
        ],
        exception_handlers={ClientError: refused},
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest("body", "must be a JSON object")
    return body


async def _stream(room: Room, seen: dict[str, Place]) -> AsyncIterator[str]:
    # WHATWG HTML, 9.2: fields a line each, an empty line ends an event, a colon begins a comment.
    # First the jobs that are known here: a browser sends again what is missing.
    yield f"retry: 1000\nevent: jobs\ndata: {json.dumps(list(room.turns))}\n\n"
    async for reply in room.news(seen, KEEP_ALIVE):
        if reply is None:
            yield ": still here\n\n"
        else:
            place = f"{reply.job_id}:{reply.attempt}.{reply.seq}"
            yield f"id: {place}\ndata: {json.dumps(_shown(reply))}\n\n"


def _seen(last_event_id: str) -> dict[str, Place]:
    job_id, _, place = last_event_id.rpartition(":")
    attempt, _, seq = place.partition(".")
    known = job_id and attempt.isdecimal() and seq.isdecimal()
    return {job_id: (int(attempt), int(seq))} if known else {}


def _shown(reply: Reply) -> dict[str, Any]:
    """Return what a browser is told: never a whole payload."""
    told = {"id": reply.job_id, "attempt": reply.attempt, "seq": reply.seq, "kind": reply.kind}
    match reply:
        case Final():
            options = [
                {
                    "name": option.name,
                    "recommended": option.recommended,
                    "about": [
                        f"{one.value}" for one in option.parameters if one.value != option.name
                    ],
                }
                for option in reply.options
            ]
            suggestions = reply.followup_suggestions
            return told | {"text": reply.text, "options": options, "suggestions": suggestions}
        case Failed():
            return told | {"advice": reply.advice}
        case Retrying():
            return told | {"retry_in": reply.retry_in}
        case _:
            return told | {"text": getattr(reply, "text", "")}


async def main() -> None:
    """Run the backend."""
    (amqp_url,) = required("AMQP_URL")
    network = os.environ.get("AUI_NETWORK", "default")
    host, port = os.environ.get("HOST", "127.0.0.1"), number("PORT", 8080)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    async with Client(amqp_url, network, "web", confirm_timeout=5) as aui, Rooms(aui) as rooms:
        app = backend(aui, rooms)
        # Streams have no end of their own: a stopping server does not wait for them.
        config = uvicorn.Config(
            app, host=host, port=port, access_log=False, timeout_graceful_shutdown=1
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main())
