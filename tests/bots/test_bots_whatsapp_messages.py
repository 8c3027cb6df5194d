"""WhatsApp's shapes: within Meta's limits whatever the agent says, and a tap says it in full."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.bots.fake_meta import complaint
from examples.bots.whatsapp_messages import answer, said
from worker.client import Final

NUMBER = "106540352242922"


def final(body: dict[str, Any]) -> Final:
    return Final(
        task_id="t",
        job_id="wamid.1",
        network="default",
        channel="whatsapp",
        user_id="4917012345",
        correlation_id="wamid.1",
        attempt=1,
        seq=2,
        body=body,
        raw=json.dumps(body).encode(),
        headers={},
    )


def option(name: str, **parameters: Any) -> dict[str, Any]:
    rows = [{"title": "Product name", "value": name, "type": "string"}]
    rows += [{"title": title, "value": value} for title, value in parameters.items()]
    return {"widget_parameters": rows}


def test_an_answer_without_more_is_a_text() -> None:
    assert answer(final({"text": "Hello!"})) == [{"type": "text", "text": {"body": "Hello!"}}]


def test_short_suggestions_are_reply_buttons_under_the_answer() -> None:
    (message,) = answer(final({"text": "Hello!", "followup_suggestions": ["Yes", "No", "", "Yes"]}))

    assert message["interactive"] == {
        "type": "button",
        "body": {"text": "Hello!"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "Yes", "title": "Yes"}},
                {"type": "reply", "reply": {"id": "No", "title": "No"}},
            ]
        },
    }


def test_a_suggestion_too_long_for_a_button_is_told_in_full_and_sent_in_full() -> None:
    asked = "Do any of these come in stainless steel?"

    text, menu = answer(final({"text": "Hello!", "followup_suggestions": [asked]}))

    assert text["text"]["body"] == "Hello!"
    assert asked in menu["interactive"]["body"]["text"]
    (button,) = menu["interactive"]["action"]["buttons"]
    assert button["reply"] == {"id": asked, "title": "Do any of these…"}


def test_suggestions_that_are_cut_to_the_same_are_told_apart() -> None:
    asked = ["Show me some more of the fridges", "Show me some more of the ovens"]

    *_, menu = answer(final({"text": "Hello!", "followup_suggestions": asked}))

    titles = [one["reply"]["title"] for one in menu["interactive"]["action"]["buttons"]]
    assert titles == ["1. Show me some…", "2. Show me some…"]


def test_options_are_rows_of_a_list_under_the_answer_and_suggestions_come_after() -> None:
    body = {
        "text": "I found two.",
        "options": [option("Bosch", Price="$342.99", Rating=4.7), option("A" * 30)],
        "followup_suggestions": ["Cheapest one?"],
    }

    options, suggestions = answer(final(body))

    assert options["interactive"]["body"]["text"] == "I found two."
    (section,) = options["interactive"]["action"]["sections"]
    assert section["rows"] == [
        {"id": "Bosch", "title": "Bosch", "description": "Price $342.99 · Rating 4.7"},
        {"id": "A" * 30, "title": "A" * 23 + "…", "description": "A" * 30},
    ]
    assert suggestions["interactive"]["type"] == "button"


def test_an_answer_too_long_for_a_menu_comes_before_it() -> None:
    body = {"text": "word " * 1000, "options": [option("Bosch")], "followup_suggestions": ["Yes"]}

    *told, options, suggestions = answer(final(body))

    assert [len(message["text"]["body"]) <= 4096 for message in told] == [True, True]
    assert options["interactive"]["body"]["text"] == "Here they are:"
    assert suggestions["interactive"]["body"]["text"] == "You could also ask:"


texts = st.text(st.sampled_from("abc ä🙂\n"), max_size=300)


@given(
    st.builds(lambda one, times: one * times, texts, st.integers(1, 40)),
    st.lists(st.builds(option, texts, Price=texts, Rating=st.floats(0, 5)), max_size=14),
    st.lists(texts, max_size=5),
)
def test_whatever_the_agent_says_meta_takes_it(
    text: str, options: list[dict[str, Any]], suggestions: list[str]
) -> None:
    body = {"text": text, "options": options, "followup_suggestions": suggestions}

    messages = answer(final(body))

    common = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "4917012345"}
    assert [complaint({**common, **message}) for message in messages] == [None] * len(messages)
    told = "".join(
        message["text"]["body"] if message["type"] == "text" else "" for message in messages
    ) + "".join(m["interactive"]["body"]["text"] for m in messages if m["type"] == "interactive")
    assert "".join(text.split()) in "".join(told.split())


def notification(*messages: dict[str, Any], number: str = NUMBER, **value: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": number}
    values = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    if messages:
        values["messages"] = list(messages)
    change = {"field": "messages", "value": values}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def message(kind: str, **more: Any) -> dict[str, Any]:
    return {"from": "4917012345", "id": "wamid.1", "timestamp": "1", "type": kind, **more}


@pytest.mark.parametrize(
    ("incoming", "text"),
    [
        (message("text", text={"body": " hello "}), "hello"),
        (
            message(
                "interactive",
                interactive={
                    "type": "button_reply",
                    "button_reply": {"id": "Do any of these come in steel?", "title": "Do any…"},
                },
            ),
            "Do any of these come in steel?",
        ),
        (
            message(
                "interactive",
                interactive={
                    "type": "list_reply",
                    "list_reply": {"id": "Bosch Serie 8", "title": "Bosch", "description": "$1"},
                },
            ),
            "Bosch Serie 8",
        ),
        (message("button", button={"text": "Yes", "payload": "y"}), "Yes"),
        (message("image", image={"id": "1", "caption": "like this"}), "like this"),
    ],
)
def test_words_and_taps_are_what_a_user_says(incoming: dict[str, Any], text: str) -> None:
    assert list(said(notification(incoming), NUMBER)) == [("wamid.1", "4917012345", text)]


@pytest.mark.parametrize(
    "incoming",
    [
        {},
        [],
        notification(statuses=[{"id": "wamid.2", "status": "delivered"}]),
        notification(message("text", text={"body": "hello"}), number="another"),
        notification(message("image", image={"id": "1"})),
        notification(message("reaction", reaction={"emoji": "👍", "message_id": "wamid.0"})),
        notification(message("text", text={"body": " "})),
        notification(message("unsupported", errors=[{"code": 131051}])),
    ],
)
def test_all_else_is_nothing_said(incoming: Any) -> None:
    assert list(said(incoming, NUMBER)) == []


def test_a_notification_may_hold_several_messages() -> None:
    first = message("text", text={"body": "one"})
    second = message("text", text={"body": "two"}) | {"id": "wamid.2"}

    assert [one.text for one in said(notification(first, second), NUMBER)] == ["one", "two"]
