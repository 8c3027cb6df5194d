"""Updates read at the least cost: never otherwise than by the reader that reads everything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import DOCS_UPDATE, FINAL, SDK_UPDATE, frame, nested, texts
from worker.core.update import UPDATED, Update, read_update
from worker.core.wire import Unknown, read_frame, read_frame_thoroughly

NAMES = st.sampled_from(
    ["event", "channel", "scope", "data", "type", "status_code", "statusCode", "detail", "id", "x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | texts
    | st.sampled_from([UPDATED, "streaming_update"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
UPDATE_LIKE = st.fixed_dictionaries(
    {"data": st.fixed_dictionaries({"text": texts | VALUES})},
    optional={
        "event": st.sampled_from([UPDATED, "streaming_update", "other", None]),
        "channel": st.fixed_dictionaries({"event_name": st.sampled_from([UPDATED, "x", None])})
        | VALUES,
        "scope": st.fixed_dictionaries({"context": st.fixed_dictionaries({"task_id": texts})})
        | VALUES,
        "type": st.just(UPDATED),
        "status_code": st.sampled_from([200, 500, "404", None]),
        "statusCode": VALUES,
        "detail": VALUES,
        "id": texts,
    },
)


def agrees(raw: bytes) -> None:
    """Fail if the quick reader reads a frame, and otherwise than the thorough one."""
    quick, thorough = read_update(raw), read_frame_thoroughly(raw)
    if quick is not None:
        assert isinstance(thorough, Update)
        assert (quick.text, quick.task_id) == (thorough.text, thorough.task_id)


@pytest.mark.parametrize(("raw", "task_id"), [(DOCS_UPDATE, None), (SDK_UPDATE, "t1")])
def test_both_dialects_are_read_quickly(raw: bytes, task_id: str | None) -> None:
    update = read_update(raw)
    assert update is not None
    assert (update.text, update.task_id) == ("I found several", task_id)


@given(UPDATE_LIKE, st.booleans())
def test_what_is_like_an_update_is_read_as_by_the_thorough_reader(
    body: dict[str, Any], ascii_only: bool
) -> None:
    agrees(json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=40), st.integers(0, len(SDK_UPDATE)), st.integers(0, 12))
def test_a_broken_frame_is_never_read_otherwise(noise: bytes, place: int, gone: int) -> None:
    agrees(SDK_UPDATE[:place] + noise + SDK_UPDATE[place + gone :])


@pytest.mark.parametrize(
    "raw",
    [
        FINAL,
        frame(event=UPDATED, data={"text": "a"}, status_code=500),
        frame(event=UPDATED, data={"text": "a"}, statusCode=500),
        frame(event=UPDATED, data={"text": 3}),
        frame(event="other", data={"text": "a"}),
        frame(data={"text": "a"}),
        b'{"event":"%s","data":{"text":"\xff"}}' % UPDATED.encode(),
        b'{"event":"%s","data":{"text":"a"},"x":"\xff"}' % UPDATED.encode(),
        b'{"event":"%s","data":{"text":"\\ud83d"}}' % UPDATED.encode(),
        b'{"event":"%s","data":{"text":"a"},"x":%s}' % (UPDATED.encode(), nested(50_000)),
    ],
)
def test_what_is_not_plainly_an_update_is_left_to_the_thorough_reader(raw: bytes) -> None:
    assert read_update(raw) is None


def test_a_text_goes_on_as_aui_wrote_it() -> None:
    raw = b'{"event":"%s","data":{"text": "caf\\u00e9 \\/ \xe2\x98\x83"}}' % UPDATED.encode()
    update = read_frame(raw)
    assert isinstance(update, Update)
    assert update.literal == b'"caf\\u00e9 \\/ \xe2\x98\x83"'
    assert update.text == "café / ☃"


def test_an_update_without_a_text_is_no_update() -> None:
    assert isinstance(read_frame(frame(event=UPDATED, data={})), Unknown)


@given(texts)
def test_a_text_can_be_put_into_an_update(text: str) -> None:
    assert Update.saying(text).text == text
