"""Keys, origins and refusals are the same behind both doors."""

import json
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from worker.sandbox.backend import PREFIXES, Backend, json_response
from worker.sandbox.dialect import DialectName
from worker.sandbox.refusal import UNAUTHORIZED, FieldError, Origin, invalid, no_such_task


def connection(query: bytes = b"", headers: dict[str, str] | None = None) -> HTTPConnection:
    """A WebSocket upgrade as it reaches the application."""
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": f"{PREFIXES[0]}/api/v1/external/session",
        "query_string": query,
        "headers": raw,
    }
    return HTTPConnection(scope)


def backend(dialect: DialectName = "docs") -> Backend:
    """A backend with the key `k/1`."""
    return Backend("k/1", dialect, 0, newest_first=True)


@pytest.mark.parametrize(
    ("query", "header", "welcome"),
    [
        (b"network_api_key=k%2F1", None, True),
        (b"network_api_key=k/1", None, True),
        (b"", "k/1", True),
        (b"network_api_key=wrong", "k/1", True),
        (b"network_api_key=k/1", "wrong", False),
        (b"network_api_key=wrong", None, False),
        (b"x-network-api-key=k/1", None, False),
        (b"network_api_key=", None, False),
        (b"", None, False),
    ],
)
def test_the_header_else_the_query_must_be_a_key(
    query: bytes, header: str | None, welcome: bool
) -> None:
    headers = {} if header is None else {"x-network-api-key": header}
    assert backend().authorized(connection(query, headers)) is welcome


def test_a_key_can_be_revoked_and_issued() -> None:
    shop = backend()
    shop.api_keys.remove("k/1")
    assert not shop.authorized(connection(b"network_api_key=k/1"))
    shop.api_keys.add("new")
    assert shop.authorized(connection(b"network_api_key=new"))


def test_an_origin_has_the_path_without_prefix_and_the_query_as_it_came() -> None:
    assert backend().origin(connection(b"network_api_key=k%2F1")) == Origin(
        "GET", "/api/v1/external/session", "network_api_key=k%2F1"
    )


def test_401_and_422_have_the_dialects_body_and_the_rest_the_common_one() -> None:
    wrong = invalid((FieldError(("body", "text"), "field required", "value_error.missing"),))
    for dialect, key in (("docs", "detail"), ("sdk", "errors")):
        shop = backend(dialect)  # type: ignore[arg-type]
        assert key in json.loads(bytes(shop.refusal(UNAUTHORIZED, connection()).body))
        assert key in json.loads(bytes(shop.refusal(wrong, connection()).body))
        other = json.loads(bytes(shop.refusal(no_such_task("t"), connection()).body))
        assert set(other) == {"status_code", "description", "message", "extra_data"}


def test_json_is_compact_and_readable() -> None:
    response = json_response({"text": "µwave"}, 201, {"retry-after": "1"})
    assert response.body == '{"text":"µwave"}'.encode()
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "1"
