"""What both doors, REST and WebSocket, stand on: options, memory, faults and turns."""

from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response

from worker.sandbox.dialect import DIALECTS, DialectName, encode
from worker.sandbox.faults import Faults
from worker.sandbox.journal import journaled_store
from worker.sandbox.refusal import Failure, Origin
from worker.sandbox.store import Store
from worker.sandbox.turns import Turns

PREFIXES = ("/api/ia-controller", "/ia-controller")
"""The path families AUI answers under: the documents' and its SDK's."""


class Backend:
    """The sandbox's inside. `api_keys` may change at any time: a key not in it is refused."""

    def __init__(
        self,
        api_key: str,
        dialect: DialectName,
        word_delay: float,
        *,
        newest_first: bool,
        journal: Path | None = None,
    ) -> None:
        self.api_keys = {api_key}
        self.dialect = DIALECTS[dialect]
        self.newest_first = newest_first
        self.store = Store() if journal is None else journaled_store(journal)
        self.faults = Faults()
        self.turns = Turns(self.store, word_delay, self.faults)

    def authorized(self, connection: HTTPConnection) -> bool:
        """Whether the header `x-network-api-key`, else the query `network_api_key`, is a key."""
        given = connection.headers.get("x-network-api-key")
        if given is None:
            given = connection.query_params.get("network_api_key")
        return given in self.api_keys

    def origin(self, connection: HTTPConnection) -> Origin:
        """Where a connection came in; the path is told as AUI tells it, without the prefix."""
        scope = connection.scope
        path: str = scope["path"]
        for prefix in PREFIXES:
            path = path.removeprefix(prefix)
        return Origin(scope.get("method", "GET"), path, scope["query_string"].decode("latin-1"))

    def refusal(self, failure: Failure, connection: HTTPConnection) -> Response:
        """The HTTP response for a failure: the dialect's own body for 401 and 422."""
        if failure.status == 401:
            body = self.dialect.unauthorized()
        elif failure.errors:
            body = self.dialect.invalid(failure.errors)
        else:
            body = failure.payload(self.origin(connection))
        return json_response(body, failure.status, failure.headers())


def json_response(
    body: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A response with a compact JSON body."""
    return Response(encode(body), status, headers, media_type="application/json")
