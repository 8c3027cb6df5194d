"""Binding keys: what the broker would match, and what it would not take."""

import pytest

from worker.client.errors import InvalidRequest
from worker.client.topics import check_key, matches


@pytest.mark.parametrize(
    ("pattern", "key", "matched"),
    [
        ("#", "acme.sms.t1.final", True),
        ("acme.sms.*.final", "acme.sms.t1.final", True),
        ("acme.sms.*.final", "acme.sms.t1.failed", False),
        ("acme.sms.*.final", "acme.web.t1.final", False),
        ("acme.#", "acme.sms.t1.final", True),
        ("#.final", "acme.sms.t1.final", True),
        ("acme.#.final", "acme.final", True),
        ("*.*.*", "acme.sms.t1.final", False),
        ("*.*.*.*.*", "acme.sms.t1.final", False),
        ("acme.#.#", "acme", True),
        ("acme", "acme.sms.t1.final", False),
    ],
)
def test_a_key_matches_as_the_broker_matches_it(pattern: str, key: str, matched: bool) -> None:
    assert matches(pattern, key.split(".")) is matched


@pytest.mark.parametrize("key", ["#", "acme.sms.*.final", "*.*.t_1-x.#"])
def test_words_and_wildcards_are_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", ".", "acme..final", "a b", "ac*", "x" * 65, "x." * 200, None])
def test_what_could_never_match_is_refused(key: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^keys must be"):
        check_key(key)
