"""The sandbox's routes: AUI's under both path families, and the sandbox's own."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from worker.sandbox.admin import Admin
from worker.sandbox.backend import PREFIXES, Backend
from worker.sandbox.endpoints import Endpoints
from worker.sandbox.refusal import Failure, phrase_of
from worker.sandbox.session import Session


def application(backend: Backend, admin: Admin) -> Starlette:
    """The ASGI application over a backend; importing or building it starts nothing."""

    async def not_served(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return backend.refusal(Failure(status, phrase_of(status)), request)

    return Starlette(
        routes=[*_aui_routes(backend), *_own_routes(admin)],
        exception_handlers={HTTPException: not_served},
    )


def _aui_routes(backend: Backend) -> list[BaseRoute]:
    rest, session = Endpoints(backend), Session(backend)
    served = [
        ("tasks", "POST", rest.create_task),
        ("tasks", "GET", rest.list_tasks),
        ("tasks/{task_id}/messages", "GET", rest.list_messages),
        ("message", "POST", rest.send_message),
    ]
    routes: list[BaseRoute] = []
    for prefix in PREFIXES:
        base = f"{prefix}/api/v1/external"
        routes += [
            Route(f"{base}/{path}", rest.guarded(endpoint), methods=[method])
            for path, method, endpoint in served
        ]
        routes.append(WebSocketRoute(f"{base}/session", session.serve))
    return routes


def _own_routes(admin: Admin) -> list[BaseRoute]:
    return [
        Route("/sandbox/faults", admin.order_faults, methods=["POST"]),
        Route("/sandbox/faults", admin.clear_faults, methods=["DELETE"]),
        Route("/sandbox/tasks", admin.create_task, methods=["POST"]),
        Route("/sandbox/messages", admin.list_messages, methods=["GET"]),
        Route("/sandbox/state", admin.show_state, methods=["GET"]),
    ]
