"""Long texts become parts, between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.bots.splitting import short, split


def up_to(length: int):  # type: ignore[no-untyped-def]
    return lambda part: len(part) <= length


@given(st.text(st.sampled_from("ab \n\tc"), max_size=200), st.integers(1, 30))
def test_nothing_is_lost_and_every_part_fits(text: str, length: int) -> None:
    parts = split(text, up_to(length))

    assert all(0 < len(part) <= length for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=40), st.integers(8, 30))
def test_no_word_is_broken_that_fits(words: list[str], length: int) -> None:
    parts = split(" ".join(words), up_to(length))

    assert [word for part in parts for word in part.split()] == words


def test_a_part_is_as_long_as_it_can_be() -> None:
    assert split("one two three four", up_to(8)) == ["one two", "three", "four"]
    assert split("one two three", up_to(7)) == ["one two", "three"]


def test_a_word_that_is_too_long_is_cut_where_it_must_be() -> None:
    assert split("see https://example.com", up_to(10)) == ["see", "https://ex", "ample.com"]


def test_an_empty_text_has_no_parts() -> None:
    assert split(" \n", up_to(5)) == []


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Which is cheapest?", "Which is cheapest?"),
        ("What is the price range?", "What is the price…"),
        ("Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffah…"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_label_is_cut_to_what_a_button_shows(label: str, shown: str) -> None:
    assert short(label, 20) == shown
    assert len(shown) <= 20
