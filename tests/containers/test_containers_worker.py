"""One worker goes, in each way a container can: nothing is lost, nothing asked or told twice."""

from itertools import pairwise

import pytest

from tests.containers.boxes import Box, Site, until
from worker.client import Final, Reply, Update
from worker.client.blocking import Client
from worker.testing import recorded_replies
from worker.testing.recorder import ReplyRecorder

LONG = "!load updates=80 interval=0.1 chunk=5"
"""Eight seconds of an answer."""
NEXT = "Which one is the cheapest?"
STREAMED = 5
"""Updates after which a stream is in its midst."""


def streaming(replies: ReplyRecorder, job: str) -> None:
    """Wait until a job streams."""
    replies.wait_for(lambda _: len(texts(replies.of(job))) >= STREAMED)


def still(replies: ReplyRecorder, job: str) -> None:
    """Hold that a job has not ended: what is broken now, is broken in mid-stream."""
    assert not any(reply.terminal for reply in replies.of(job))


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text for reply in replies if isinstance(reply, Update)]


def assert_whole(replies: list[Reply]) -> None:
    """Hold what a subscriber relies on: cumulative texts, numbered without a gap in an attempt."""
    for one, two in pairwise(replies):
        assert (one.attempt, one.seq) < (two.attempt, two.seq)
        if one.attempt == two.attempt:
            assert two.seq == one.seq + 1
            if isinstance(two, Update):
                assert two.text.startswith(texts([one])[0])


def busy_and_idle(boxes: list[Box]) -> tuple[Box, Box]:
    """Return which of two workers works, and which does not."""
    idle, busy = sorted(boxes, key=lambda box: box.in_flight)
    assert not idle.in_flight
    assert busy.in_flight
    return busy, idle


def test_a_message_is_sent_and_its_answer_streams(site: Site) -> None:
    """From one end to the other, and the history of AUI says the same."""
    site.worker("worker-0")
    task = site.aui.sandbox.create_task()
    with recorded_replies(site.amqp_url) as replies, Client(site.amqp_url) as client:
        job = client.send("a built-in microwave, please", task_id=task.id)
        end = replies.assert_one_terminal_reply(job)

    assert isinstance(end, Final)
    assert end.attempt == 1
    assert len(texts(replies.of(job))) > 1
    assert_whole(replies.of(job))
    assert site.asked(task.id) == ["a built-in microwave, please"]
    assert site.answered(task.id) == [end.text]


def test_sigterm_in_mid_stream_drains(site: Site) -> None:
    """The answer that runs is finished, exit code 0; the next job waits for another worker."""
    first = site.worker("worker-0")
    task = site.aui.sandbox.create_task()
    with recorded_replies(site.amqp_url) as replies, Client(site.amqp_url) as client:
        running = client.send(LONG, task_id=task.id)
        waiting = client.send(NEXT, task_id=task.id)
        streaming(replies, running)
        still(replies, running)
        first.inside.kill("SIGTERM")
        assert first.exit_code() == 0
        end = replies.assert_one_terminal_reply(running)
        assert not replies.of(waiting)
        site.worker("worker-1")
        later = replies.assert_one_terminal_reply(waiting)

    assert isinstance(end, Final)
    assert isinstance(later, Final)
    assert end.attempt == 1
    assert_whole(replies.of(running))
    assert site.asked(task.id) == [LONG, NEXT]


def test_sigkill_in_mid_stream_hands_over(site: Site) -> None:
    """Another worker finishes what was asked, and does not ask again."""
    boxes = [site.worker("worker-0"), site.worker("worker-1")]
    task = site.aui.sandbox.create_task()
    with recorded_replies(site.amqp_url) as replies, Client(site.amqp_url) as client:
        running = client.send(LONG, task_id=task.id)
        waiting = client.send(NEXT, task_id=task.id)
        streaming(replies, running)
        busy, idle = busy_and_idle(boxes)
        still(replies, running)
        busy.inside.kill("SIGKILL")
        ends = [replies.assert_one_terminal_reply(job, 90) for job in (running, waiting)]

    assert all(isinstance(end, Final) for end in ends)
    assert ends[0].attempt > 1
    assert busy.exit_code() == 128 + 9
    assert idle.ended == [running, waiting]
    assert_whole(replies.of(running))
    assert site.asked(task.id) == [LONG, NEXT]
    assert site.answered(task.id) == [end.text for end in ends if isinstance(end, Final)]


@pytest.mark.parametrize("how", ["pause", "disconnect"])
def test_one_that_is_cut_off_is_fenced(site: Site, how: str) -> None:
    """The broker takes its jobs back, and another worker ends them.

    As it is let on it is the same worker, and works on. It asks nothing again. The end of what it
    had begun it may tell, too, late and under its own attempt: the very same end.
    """
    boxes = [site.worker("worker-0"), site.worker("worker-1")]
    task = site.aui.sandbox.create_task()
    with recorded_replies(site.amqp_url) as replies, Client(site.amqp_url) as client:
        running = client.send(LONG, task_id=task.id)
        waiting = client.send(NEXT, task_id=task.id)
        streaming(replies, running)
        busy, idle = busy_and_idle(boxes)
        still(replies, running)
        up = len(busy.said("consuming link up"))
        cut_off(site, busy, how)
        later = replies.assert_one_terminal_reply(waiting, 90)
        first = next(reply for reply in replies.of(running) if reply.terminal)
        assert idle.ended == [running, waiting]
        let_on(site, busy, how)
        until("its link is up again", lambda: len(busy.said("consuming link up")) > up)
        until("it is ready again", lambda: busy.ready)
        idle.inside.kill("SIGTERM")
        assert idle.exit_code() == 0
        after = client.send("and then?", task_id=task.id)
        last = replies.assert_one_terminal_reply(after, 90)
        ends = [reply for reply in replies.of(running) if reply.terminal]

    assert isinstance(first, Final)
    assert isinstance(later, Final)
    assert isinstance(last, Final)
    assert {end.text for end in ends if isinstance(end, Final)} == {first.text}
    assert [end.attempt for end in ends if end.attempt >= first.attempt] == [first.attempt]
    assert after in busy.ended
    assert waiting not in busy.ended
    assert site.asked(task.id) == [LONG, NEXT, "and then?"]
    assert site.answered(task.id) == [first.text, later.text, last.text]


def cut_off(site: Site, box: Box, how: str) -> None:
    if how == "pause":
        box.inside.pause()
    else:
        site.network._network.disconnect(box.inside)  # noqa: SLF001 - it has no other


def let_on(site: Site, box: Box, how: str) -> None:
    if how == "pause":
        box.inside.unpause()
    else:
        site.network.connect(box.inside.id)
