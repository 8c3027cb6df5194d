"""No secret leaves the process, however it is spelled."""

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY, SOME, texts
from worker.core.redact import REDACTED, Redactor

KEY = 'API_KEY_a&b#c%d/e+f"g\\h é☃'

secrets = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)
    | st.text("&#%/+\"\\?= aZ09-_.~é☃🎉'<>", min_size=1, max_size=40)
).map("sk-".__add__)
"""Keys of any printable characters; the start keeps them apart from the words around them."""


def lower(quoted: str) -> str:
    """Percent-encoding with small letters, as many servers write it."""
    return "".join(
        part if index == 0 else f"%{part[:2].lower()}{part[2:]}"
        for index, part in enumerate(quoted.split("%"))
    )


SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda secret: secret,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in a URL, small": lambda secret: lower(quote(secret, safe="")),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON, as text": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "in JSON, escaped slashes": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in a URL in JSON": lambda secret: json.dumps(quote(secret, safe=""))[1:-1],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@SOME
@given(secret=secrets)
@example(secret=KEY)
def test_no_spelling_of_a_secret_survives(spelling: str, secret: str) -> None:
    spelled = SPELLINGS[spelling](secret)
    said = f"path /x?network_api_key={spelled} HTTP/1.1"
    clean = Redactor([secret]).text(said)
    assert clean == said.replace(spelled, REDACTED)
    assert spelled not in clean
    assert Redactor([secret]).data(said.encode()) == clean.encode()


@MANY
@given(secret=secrets)
@example(secret=KEY)
def test_auis_own_echo_of_the_query_is_redacted(secret: str) -> None:
    query = urlencode({"network_api_key": secret})
    echoed = {"status_code": 400, "extra_data": {"query": query, "raw": secret}}
    clean = Redactor([secret]).data(json.dumps(echoed).encode())
    assert json.loads(clean)["extra_data"] == {
        "query": f"network_api_key={REDACTED}",
        "raw": REDACTED,
    }


@MANY
@given(text=texts, raw=st.binary())
def test_what_holds_no_secret_is_the_same_object(text: str, raw: bytes) -> None:
    redactor = Redactor(["API_KEY_never_drawn"])
    assert redactor.text(text) is text
    assert redactor.data(raw) is raw


@pytest.mark.parametrize(
    ("secrets_of", "said", "expected"),
    [
        (["abc", "abcdef"], "abcdef abc", "[redacted] [redacted]"),
        (["abcdef", "abc"], "abcdef abc", "[redacted] [redacted]"),
        (["one", "two"], "one two three", "[redacted] [redacted] three"),
        (["key"], "keykey", "[redacted][redacted]"),
        ([""], "nothing", "nothing"),
        ([], "nothing", "nothing"),
        (["", "key"], "a key", "a [redacted]"),
        (["a/b"], "a%2fb a%2Fb a/b a\\/b", "[redacted] [redacted] [redacted] [redacted]"),
        (["é"], "%C3%A9 %c3%a9 é \\u00e9", "[redacted] [redacted] [redacted] [redacted]"),
        (["a b"], "a+b a%20b", "[redacted] [redacted]"),
    ],
)
def test_secrets_are_replaced_wherever_they_stand(
    secrets_of: list[str], said: str, expected: str
) -> None:
    redactor = Redactor(secrets_of)
    assert redactor.text(said) == expected
    assert redactor.data(said.encode()) == expected.encode()


def test_bytes_that_are_no_text_are_redacted_too() -> None:
    assert Redactor(["key"]).data(b"\xff key \x00") == b"\xff [redacted] \x00"


def test_json_stays_json() -> None:
    raw = json.dumps({"key": KEY, "url": f"/?k={quote(KEY, safe='')}"}).encode()
    assert json.loads(Redactor([KEY]).data(raw)) == {"key": REDACTED, "url": f"/?k={REDACTED}"}
