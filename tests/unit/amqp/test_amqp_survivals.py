"""A worker that still lives was not ended by what it has had in its hands."""

from worker.amqp.survivals import TIMES, Survivals
from worker.core.envelope import Envelope, Properties


def handed_out(count: int, job_id: str = "job", body: bytes = b"{}") -> Envelope:
    """Return a message that was handed out so often before."""
    properties = Properties(message_id=job_id, headers={"x-delivery-count": count})
    return Envelope("default", body, properties=properties, redelivered=count > 0)


def test_what_others_had_speaks_against_it() -> None:
    assert [Survivals(8).suspicion(handed_out(count)) for count in (0, 1, 7)] == [0, 1, 7]


def test_what_this_worker_had_does_not() -> None:
    survivals = Survivals(8)
    assert [survivals.suspicion(handed_out(count)) for count in (0, 1, 2, 3)] == [0, 0, 0, 0]
    assert [survivals.suspicion(handed_out(count)) for count in (5, 6)] == [1, 1]


def test_jobs_are_told_apart_by_id_and_body() -> None:
    survivals = Survivals(8)
    survivals.suspicion(handed_out(0))
    assert survivals.suspicion(handed_out(1, "another")) == 1
    assert survivals.suspicion(handed_out(1, body=b"[]")) == 1


def test_only_so_many_are_remembered() -> None:
    survivals = Survivals(8)
    for number in range(TIMES * 8 + 1):
        survivals.suspicion(handed_out(0, f"job {number}"))
    assert survivals.suspicion(handed_out(1, "job 1")) == 0
    assert survivals.suspicion(handed_out(1, "job 0")) == 1


def test_a_count_that_a_producer_wrote_is_none() -> None:
    envelope = Envelope("default", b"", properties=Properties(headers={"x-delivery-count": 9}))
    assert Survivals(8).suspicion(envelope) == 0
