"""Three workers share the work by themselves, and one that goes leaves its share to the others."""

from itertools import count

from tests.containers.boxes import PARTITIONS, Site
from worker.client import Final
from worker.client.blocking import Client
from worker.core.slots import slot_of
from worker.testing import recorded_replies

EACH = 3
"""Tasks a partition."""
LONG = "!load updates=30 interval=0.05 chunk=5"


def task_ids(word: str) -> list[str]:
    """Return task ids that fill every partition alike."""
    left = dict.fromkeys(range(PARTITIONS), EACH)
    ids = []
    for number in count():
        task_id = f"{word}-{number}"
        partition = int(slot_of(task_id), 16) * PARTITIONS // 256
        if left[partition]:
            left[partition] -= 1
            ids.append(task_id)
        if not any(left.values()):
            return ids
    raise AssertionError


def test_three_workers_share_the_partitions(site: Site) -> None:
    """Each ends some of the jobs, no two the same; then one stops in the midst of its own."""
    boxes = [site.worker(f"worker-{number}") for number in range(3)]
    tasks = task_ids("shared")
    for task_id in tasks:
        site.aui.sandbox.create_task(task_id=task_id)
    with recorded_replies(site.amqp_url) as replies, Client(site.amqp_url) as client:
        first = [client.send("hello", task_id=task_id) for task_id in tasks]
        ends = [replies.assert_one_terminal_reply(job) for job in first]
        shares = [box.ended for box in boxes]
        assert all(shares)
        assert sorted(job for share in shares for job in share) == sorted(first)

        second = [client.send(LONG, task_id=task_id) for task_id in tasks]
        third = [client.send("and then?", task_id=task_id) for task_id in tasks]
        replies.wait_for(lambda _: all(replies.of(job) for job in second))
        boxes[0].inside.kill("SIGTERM")
        assert boxes[0].exit_code() == 0
        ends += [replies.assert_one_terminal_reply(job, 90) for job in second + third]
        ended = [job for box in boxes for job in box.ended]

    assert all(isinstance(end, Final) for end in ends)
    assert sorted(ended) == sorted(first + second + third)
    for task_id in tasks:
        assert site.asked(task_id) == ["hello", LONG, "and then?"]
