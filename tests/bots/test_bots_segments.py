"""SMS segments, at their limits, and answers of several messages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.bots.segments import BASIC, EXTENSION, messages, segments


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # 152 and a euro of two septets: the pair is not torn apart, so the next segment begins.
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ß" * 160, 1),
        ("π" * 70, 1),  # lower case: not in the alphabet, which has only capitals of Greek
        ("π" * 71, 2),
        ("π" * 134, 2),
        ("π" * 135, 3),
        ("\u2019" + "a" * 69, 1),  # a typographic apostrophe
        ("\u2019" + "a" * 70, 2),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
        ("🙂" * 66, 2),  # 33 to a segment: 67 units hold no half of a pair
        ("🙂" * 67, 3),
    ],
)
def test_segments_at_their_limits(text: str, number: int) -> None:
    assert segments(text) == number


def test_the_alphabet_is_that_of_the_standard() -> None:
    """127 characters and the escape; ten more behind it (3GPP TS 23.038, 6.2.1)."""
    assert len(BASIC) == 127
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION


def test_a_short_answer_is_one_message_without_a_number() -> None:
    assert messages("a microwave") == ["a microwave"]
    assert messages(" ") == []


def test_a_long_answer_is_numbered_and_every_message_within_its_segments() -> None:
    answer = " ".join(f"word{n}" for n in range(200))

    sent = messages(answer, most=1)

    numbered = [re.fullmatch(r"\((\d+)/(\d+)\) (.*)", one, re.S) for one in sent]
    assert all(numbered)
    found = [one.groups() for one in numbered if one]
    assert [(int(n), int(of)) for n, of, _ in found] == [
        (n, len(sent)) for n in range(1, len(sent) + 1)
    ]
    assert len(sent) > 9  # so that the numbers themselves grow
    assert " ".join(text for _, _, text in found) == answer
    assert all(segments(one) == 1 for one in sent)


def test_only_a_message_with_other_characters_is_short() -> None:
    """One emoji at the end does not make UCS-2 of the whole answer."""
    sent = messages("word " * 120 + "🙂", most=2)

    assert [len(one) > 134 for one in sent] == [True, True, False]


def test_no_message_is_longer_than_twilio_takes() -> None:
    assert all(len(one) <= 1600 for one in messages("word " * 2000, most=99))


@given(st.text(st.sampled_from("ab€π🙂 \n"), max_size=600), st.integers(1, 3))
def test_whatever_the_text_every_message_fits_and_no_word_is_lost(text: str, most: int) -> None:
    sent = messages(text, most)

    assert all(segments(one) <= most for one in sent)
    told = [re.sub(r"^\(\d+/\d+\) ", "", one) if len(sent) > 1 else one for one in sent]
    assert "".join("".join(told).split()) == "".join(text.split())
