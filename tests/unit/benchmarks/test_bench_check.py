"""What the benchmark calls sound: every reply of every job once, in order, with its own text."""

import pytest

from benchmarks.check import Check, Job
from benchmarks.load import Load, Stream, token_of, words

STREAM = Stream(updates=3, size=5)
LOAD = Load("load", 2, STREAM, 2)
TOKENS = [token_of(number).encode() for number in (1, 2)]


class Replies:
    """Two jobs, and what their subscriber gets."""

    def __init__(self) -> None:
        self.ends = 0
        jobs = {
            token: Job(b"default.bench.%s.update" % token, b"default.bench.%s.final" % token)
            for token in TOKENS
        }
        self.check = Check(LOAD, jobs, self._ended)

    def _ended(self) -> None:
        self.ends += 1

    def update(self, job: int, number: int, *, of: int | None = None) -> None:
        """Get the update of a job, with another job's text if so told."""
        text = TOKENS[job if of is None else of] + words(3, 5)[: number * 5]
        body = b'{"event":"thread-message-text-content-updated","data":{"text":"%s"}}' % text
        self.check.take(b"default.bench.%s.update" % TOKENS[job], body, number)

    def final(self, job: int) -> None:
        """Get the final of a job, spaced as some JSON writers do."""
        body = b'{"id": "msg-1", "text": "%s", "sender": {}}' % (TOKENS[job] + words(3, 5))
        self.check.take(b"default.bench.%s.final" % TOKENS[job], body, 0)

    def everything(self, job: int) -> None:
        """Get all that belongs to a job."""
        for number in (1, 2, 3):
            self.update(job, number)
        self.final(job)


@pytest.fixture
def replies() -> Replies:
    return Replies()


def test_all_replies_in_order_are_sound(replies: Replies) -> None:
    for job in (0, 1):
        replies.everything(job)
    check = replies.check
    assert (check.broken, check.lost, check.coalesced, check.seen, check.ended) == (0, 0, 0, 6, 2)
    assert replies.ends == 2


def test_a_job_without_a_final_is_lost(replies: Replies) -> None:
    replies.everything(0)
    replies.update(1, 1)
    assert replies.check.lost == 1


def test_an_update_that_never_comes_is_counted(replies: Replies) -> None:
    replies.update(0, 2)
    replies.final(0)
    assert (replies.check.coalesced, replies.check.broken) == (2, 0)


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1), (1, 2, 3, 3)])
def test_an_update_that_comes_late_or_again_is_wrong(
    replies: Replies, numbers: tuple[int, ...]
) -> None:
    for number in numbers:
        replies.update(0, number)
    assert replies.check.broken == 1


def test_what_comes_after_the_final_is_wrong(replies: Replies) -> None:
    replies.update(0, 1)
    replies.final(0)
    replies.update(0, 2)
    assert replies.check.broken == 1
    replies.final(0)
    assert replies.check.broken == 2
    assert replies.ends == 1


def test_text_of_another_job_is_wrong(replies: Replies) -> None:
    replies.update(0, 1, of=1)
    assert replies.check.broken == 1


def test_text_that_was_not_sent_is_wrong(replies: Replies) -> None:
    body = b'{"event":"e","data":{"text":"%s 0009"}}' % TOKENS[0]
    replies.check.take(b"default.bench.%s.update" % TOKENS[0], body, 0)
    assert replies.check.broken == 1


@pytest.mark.parametrize("sent", [0, 6])
def test_asking_more_or_less_than_once_is_wrong(replies: Replies, sent: int) -> None:
    replies.check.asked(TOKENS[0], 3)
    assert replies.check.broken == 0
    replies.check.asked(TOKENS[0], sent)
    assert replies.check.broken == 1


def test_a_request_says_how_it_is_answered() -> None:
    asked = Stream(updates=7, interval=0.05, size=16, hold=True)
    assert Stream.of(asked.request("000000000042")) == ("000000000042", asked)
