"""A network knows where its session is, and where its key belongs there."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.aui.servers import KEY
from worker.aui.network import BASE_URLS, KEY_HEADER, KEY_PARAMETER, Network

keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@pytest.mark.parametrize(
    ("base_url", "session_url"),
    [
        (BASE_URLS["gcp"], "wss://data-services.aui.io/api/ia-controller/api/v1/external/session"),
        (BASE_URLS["azure"], "wss://azure.aui.io/api/ia-controller/api/v1/external/session"),
        ("http://localhost:8000/x/", "ws://localhost:8000/x/api/v1/external/session"),
        ("http://[::1]:80", "ws://[::1]:80/api/v1/external/session"),
    ],
)
def test_the_session_is_below_the_base_url(base_url: str, session_url: str) -> None:
    assert Network("default", KEY, base_url, ws_auth="header").session_url == session_url


def test_a_session_url_of_its_own_is_taken_as_it_is() -> None:
    network = Network("default", "k", ws_url="ws://elsewhere/session")
    assert network.session_url == "ws://elsewhere/session?network_api_key=k"


def test_a_key_goes_behind_a_query_that_is_there() -> None:
    network = Network("default", "k", ws_url="ws://elsewhere/session?v=1")
    assert network.session_url == "ws://elsewhere/session?v=1&network_api_key=k"


@settings(deadline=None)  # a busy machine is no failure
@given(keys)
def test_whatever_the_key_it_arrives_whole_and_is_all_of_the_query(key: str) -> None:
    parts = urlsplit(Network("default", key).session_url)
    assert parse_qs(parts.query, strict_parsing=True) == {KEY_PARAMETER: [key]}
    assert parts.fragment == ""
    assert parts.hostname == "data-services.aui.io"


@pytest.mark.parametrize(
    ("ws_auth", "in_query", "headers"),
    [
        ("query", True, {}),
        ("header", False, {KEY_HEADER: KEY}),
        ("both", True, {KEY_HEADER: KEY}),
    ],
)
def test_the_key_goes_where_it_is_wanted_and_nowhere_else(
    ws_auth: str, in_query: bool, headers: dict[str, str]
) -> None:
    network = Network("default", KEY, ws_auth=ws_auth)  # type: ignore[arg-type]
    assert (KEY_PARAMETER in network.session_url) is in_query
    assert network.session_headers == headers


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(Network("default", KEY))
