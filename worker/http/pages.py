"""The pages: ``/livez``, ``/startupz``, ``/readyz`` and ``/metrics``.

What each means to an orchestrator: a process that is not live is to be restarted, so ``/livez``
depends on nothing but the event loop, least of all on the broker or on AUI; one that is not ready
is to be left alone and looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

Exposition = Callable[[], tuple[bytes, str]]
"""Returns all metrics as they are now, and the content type of that."""

NOT_EXPOSED = "metrics are not exposed here: OTEL_METRICS_EXPORTER=prometheus exposes them"


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker is, told by functions that return at once.

    Attributes:
        started: it has been ready once.
        not_ready: why it is not ready now, a line each; nothing if it is.
    """

    started: Callable[[], bool]
    not_ready: Callable[[], Sequence[str]]


def application(health: Health, exposition: Exposition | None) -> ASGIApp:
    """Return the ASGI application.

    Args:
        health: how the worker is.
        exposition: its metrics; None where they are not exposed over HTTP.
    """

    async def livez(_: Request) -> Response:
        return _answer(200, live=True)

    async def startupz(_: Request) -> Response:
        started = health.started()
        return _answer(200 if started else 503, started=started)

    async def readyz(_: Request) -> Response:
        reasons = list(health.not_ready())
        return _answer(503 if reasons else 200, ready=not reasons, reasons=reasons)

    async def metrics(_: Request) -> Response:
        if exposition is None:
            return _answer(404, error=NOT_EXPOSED)
        body, content_type = exposition()
        # As it is: Starlette would add a charset, which the format's own content type has.
        return Response(body, headers={"Content-Type": content_type})

    pages = {"/livez": livez, "/startupz": startupz, "/readyz": readyz, "/metrics": metrics}

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # it is asked for no others
        answer = _answer(error.status_code, error=error.detail, pages=list(pages))
        answer.headers.update(error.headers or {})
        return answer

    served = Starlette(
        routes=[Route(path, page) for path, page in pages.items()],
        exception_handlers={HTTPException: refused},
    )
    served.router.redirect_slashes = False
    return served


def _answer(status: int, **told: Any) -> JSONResponse:
    return JSONResponse(told, status, headers={"Cache-Control": "no-store"})
