"""The sandbox's own routes, beside AUI's and without a key: faults to order, a state to read."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker.sandbox.backend import json_response
from worker.sandbox.faults import Faults
from worker.sandbox.refusal import Refused
from worker.sandbox.validation import read_json


class Admin:
    """`POST` and `DELETE /sandbox/faults`, `GET /sandbox/state`."""

    def __init__(self, faults: Faults, state: Callable[[], dict[str, Any]]) -> None:
        self._faults = faults
        self._state = state

    async def order_faults(self, request: Request) -> Response:
        """Takes `{"connect" | "upgrade" | "rest" | "answer": {…}}`; a wrong one is a 422."""
        try:
            self._order(read_json(await request.body()))
        except (ValueError, Refused) as error:
            return json_response({"detail": str(error)}, 422)
        return json_response({"faults": self._faults.as_json()})

    async def clear_faults(self, _: Request) -> Response:
        """Forgets every fault."""
        self._faults.clear()
        return json_response({"faults": {}})

    async def show_state(self, _: Request) -> Response:
        """The counts `Sandbox.state` gives."""
        return json_response(self._state())

    def _order(self, orders: Any) -> None:
        if not isinstance(orders, dict):
            raise ValueError("faults are a JSON object")  # noqa: TRY004 - a 422 like the others
        self._faults.order(orders)
