"""The assistant always answers, with products and three suggestions, and follows the thread."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sandbox.client import MICROWAVE
from worker.sandbox.assistant import Answer, answer, topic_of


def conversation(*texts: str) -> Answer:
    """The last answer of a conversation."""
    last = reduce(lambda previous, text: answer(text, previous), texts, None)
    assert last is not None
    return last


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_words_are_answered_with_products_and_three_suggestions(texts: list[str]) -> None:
    said = conversation(*texts)
    assert said.text.strip()
    assert said.products
    assert len(set(said.suggestions)) == 3


def test_the_documents_question_gets_the_documents_answer() -> None:
    said = answer(MICROWAVE, None)
    assert said.text.startswith(
        "I found several built-in microwaves with 20+ liters capacity. "
        "Here are the top options for you:"
    )
    assert all(one.built_in and one.litres >= 20 for one in said.products)
    assert said.suggestions == (
        "What is the price range?",
        "Do any of these come in stainless steel?",
        "Which one has the best energy rating?",
    )


def test_the_same_words_get_the_same_answer() -> None:
    assert conversation(MICROWAVE, "the cheaper one") == conversation(MICROWAVE, "the cheaper one")


@pytest.mark.parametrize(
    ("text", "said", "first"),
    [
        ("the cheaper one", "The cheapest of these is the Nordvik", "mw-nordvik-25"),
        ("does it come in steel?", "Yes, in brushed stainless steel", "mw-em044kb19"),
        ("What is the price range?", "They range from $279.00", "mw-nordvik-25"),
        ("Which one has the best energy rating?", "has the best energy rating", "mw-nordvik-25"),
        ("Which one do customers like best?", "Customers like the Halden", "mw-halden-28"),
        ("I'll take it", "is in your cart", "mw-em044kb19"),
        ("How soon can you deliver?", "two days", "mw-em044kb19"),
        ("tell me more", "costs $342.99", "mw-em044kb19"),
    ],
)
def test_a_follow_up_is_about_what_was_shown(text: str, said: str, first: str) -> None:
    followed = conversation(MICROWAVE, text)
    assert said in followed.text
    assert followed.products[0].id == first


def test_a_follow_up_is_not_suggested_again_right_away() -> None:
    assert "Which is the cheapest one?" not in conversation("fridges", "the cheapest").suggestions


def test_none_in_steel_is_said_plainly() -> None:
    assert conversation("headphones", "in steel?").text.startswith("None of these")


def test_a_budget_leaves_only_what_it_pays_for() -> None:
    assert [one.id for one in answer("a fridge under $500", None).products] == ["fr-larder-140"]


def test_a_wish_nobody_can_meet_shows_what_comes_closest() -> None:
    said = answer("a microwave under $10", None)
    assert said.text.startswith("I found no microwave like that")
    assert said.products


def test_cheap_ones_come_cheapest_first() -> None:
    assert answer("a cheap microwave", None).products[0].id == "mw-pico-17"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Show me your best sellers", "Our best sellers"),
        ("What's on sale right now?", "Our best sellers"),
        ("I need help choosing a product", "I can help you with microwaves"),
        ("thanks!", "You're welcome"),
    ],
)
def test_small_talk_shows_what_customers_love(text: str, said: str) -> None:
    first = answer(text, None)
    assert first.text.startswith(said)
    assert len(first.products) == 3


def test_a_conversation_is_named_after_what_it_is_about() -> None:
    assert topic_of(answer(MICROWAVE, None)) == "Microwave Search"
    assert topic_of(answer("hello", None)) == "Product Search"
