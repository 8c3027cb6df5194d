"""What a letter says on the outside, and the order that letters have."""

import random
from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.dead.letters import NO_JOB, handed_out, letter
from worker.core.envelope import Envelope, Properties
from worker.dead.again import edited
from worker.dead.head import conversations, head_of, identity_of, in_order, moment

LATER = "2026-01-02T04:00:00.000+00:00"


def test_all_that_choosing_needs_is_on_the_outside() -> None:
    head = head_of(letter(headers={"aui-replays": 2}), 7)

    assert (head.job_id, head.reason, head.network, head.channel) == (
        "job",
        "bad_request",
        "acme",
        "sms",
    )
    assert (head.task_id, head.user_id, head.error) == ("t-1", None, "not allowed")
    assert head.died_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (head.replays, head.place, head.edited_at) == (2, 7, "")


def test_a_job_by_user_is_in_order_with_its_users() -> None:
    by_user = letter(body=b'{"user_id":"+49 170","text":"hi"}', task_id=None)

    assert head_of(by_user).conversation == ("acme", "user +49 170")


def test_what_no_worker_wrote_is_told_so_and_never_raises() -> None:
    strange = Envelope("", b"\xff" * 10, "some.key", Properties(headers={"aui-dead-attempts": 3}))
    head = head_of(strange)

    assert (head.reason, head.network, head.died_at, head.error) == ("unknown", "", None, "")


def test_an_error_is_one_line() -> None:
    error = '{"description":"Bad Request","message":"no\\n\\n  such   thing"}'
    assert head_of(letter(headers={})).error == "not allowed"
    properties = Properties(headers={"aui-dead-error": error})
    assert head_of(Envelope("a", b"", "a.b.c.d", properties)).error == "no such thing"


def test_letters_are_ordered_by_when_they_died_however_the_queue_is_shuffled() -> None:
    names = [f"job-{number}" for number in range(20)]
    letters = [
        letter(name, at=f"2026-01-02T03:04:{n:02}.000+00:00") for n, name in enumerate(names)
    ]
    random.Random(1).shuffle(letters)

    assert [head.name for head in in_order(map(head_of, letters))] == names


def test_letters_of_one_moment_keep_the_order_of_the_queue() -> None:
    heads = [head_of(letter(f"job-{number}"), number) for number in range(5)]

    assert [head.place for head in in_order(heads)] == [0, 1, 2, 3, 4]


def test_a_letter_that_is_handed_out_again_is_the_same() -> None:
    assert identity_of(letter()) == identity_of(handed_out(letter(), 3))
    assert identity_of(letter()) != identity_of(letter(at=LATER))
    assert identity_of(letter()) != identity_of(letter(body=b"{}"))


def test_of_several_versions_the_last_counts() -> None:
    first = letter()
    second = edited(first, b'{"task_id":"t-1","text":"two"}', "2026-01-03T00:00:00.000+00:00")
    third = edited(second, b'{"task_id":"t-1","text":"three"}', "2026-01-03T00:00:01.000+00:00")
    for order in ([first, second, third], [third, first, second]):
        (head,) = in_order(head_of(one, place) for place, one in enumerate(order))

        assert head.edited_at == "2026-01-03T00:00:01.000+00:00"
        assert (head.copies, head.name) == (3, "job")


def test_letters_of_one_job_are_numbered() -> None:
    heads = in_order([head_of(letter(at=LATER)), head_of(letter()), head_of(letter("other"))])

    assert [head.name for head in heads] == ["job#1", "other", "job#2"]


def test_conversations_keep_their_order() -> None:
    told = [("t-1", 1), ("t-2", 2), ("t-1", 3), ("t-2", 4)]
    heads = [
        replace(head_of(letter(f"job-{number}", task_id=task)), place=number)
        for task, number in told
    ]

    sorted_ = [[head.place for head in letters] for letters in conversations(heads)]
    assert sorted_ == [[1, 3], [2, 4]]


def test_an_invalid_job_without_id_has_a_number_for_a_name() -> None:
    (head,) = in_order([head_of(letter("", verdict=NO_JOB, task_id=None))])

    assert head.name == "#1"


def test_a_moment_is_in_utc_or_none() -> None:
    assert moment("2026-01-02T03:04:05") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment("yesterday") is None
    assert moment(5) is None
