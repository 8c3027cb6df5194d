"""Throughput and memory, from records made by hand."""

import os

from records import Evidence, Happened, Published, Reply, Vitals
from vitals import memory, recovery, rss_bytes


def ended(at: float, number: int) -> Reply:
    return Reply(at, "hub", "", "message.completed", "", {"aui-job-id": f"j{number}"}, "")


def run(gap: tuple[float, float]) -> Evidence:
    """Return a run of ten jobs a second for a minute, but for a gap, with a fault at 30."""
    moments = [n / 10 for n in range(600) if not gap[0] <= n / 10 < gap[1]]
    return Evidence(
        published=[Published(0.0, "j", accepted=True), Published(60.0, "j", accepted=True)],
        replies=[ended(at, number) for number, at in enumerate(moments)],
        faults=[Happened(0, "a fault", 30.0, 31.0, "hit")],
    )


def test_a_gap_is_told_until_it_is_over() -> None:
    assert recovery(run((30.0, 34.0)))[-1] == "| 30 | a fault (hit) | 1.0 | 10.0 | 3.8 |"


def test_a_gap_may_come_a_little_later() -> None:
    assert recovery(run((33.0, 36.0)))[-1] == "| 30 | a fault (hit) | 1.0 | 10.0 | 5.8 |"


def test_no_gap_is_told_as_none() -> None:
    assert recovery(run((0.0, 0.0)))[-1] == "| 30 | a fault (hit) | 1.0 | 10.0 | 0.0 |"


def test_a_gap_without_an_end_is_told() -> None:
    assert recovery(run((30.0, 60.0)))[-1].endswith("| not while jobs came |")


def test_memory_is_told_after_warming_up() -> None:
    mega = 1024 * 1024
    pulses = [Vitals(float(at), "worker-0.1", (50 + at) * mega) for at in range(0, 61, 10)]
    short = [Vitals(0.0, "worker-0.2", mega), Vitals(5.0, "worker-0.2", mega)]
    assert memory(Evidence(vitals=[*pulses, *short]))[2:] == [
        "| worker-0.1 | 60 | 70.0 | 110.0 | 110.0 | +57 % |"
    ]


def test_the_memory_of_this_process_is_known() -> None:
    assert rss_bytes(os.getpid()) > 1024 * 1024
    assert rss_bytes(2**30) == 0
