"""How a letter becomes a job again."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.dead.letters import BODY, NO_JOB, handed_out, letter
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob
from worker.core.job import Job, decode
from worker.core.job_properties import JobRules
from worker.core.republish import AttemptRecord
from worker.core.slots import slot_of
from worker.core.verdict import Source, judge
from worker.dead.again import again, attempts_made, check, edited, unfit, with_text
from worker.dead.head import head_of

RULES = JobRules()
AT = "2026-01-03T00:00:00.000+00:00"


def tried(*numbers: int) -> list[AttemptRecord]:
    return [AttemptRecord("2026-01-01T00:00:00Z", n, "streaming", "timeout") for n in numbers]


def decoded(one: Envelope) -> Job:
    sent = again(one, RULES)
    job = decode(Envelope("acme", sent.body, sent.slot, sent.properties), RULES, lambda: "new")
    assert isinstance(job, Job)
    return job


def test_it_goes_back_to_the_partition_of_its_conversation_as_it_was() -> None:
    timestamp = datetime(2026, 1, 1, tzinfo=UTC)
    one = letter(
        correlation_id="c", reply_to="sub.x", timestamp=timestamp, headers={"mine": "kept"}
    )
    sent = again(one, RULES)

    assert (sent.exchange, sent.slot, sent.body) == ("aui.jobs.acme", slot_of("t-1"), BODY)
    properties = sent.properties
    assert (properties.message_id, properties.correlation_id) == ("job", "c")
    assert (properties.reply_to, properties.timestamp) == ("sub.x", timestamp)
    assert properties.headers == {
        "mine": "kept",
        "aui-attempt-base": 64,
        "aui-maybe-sent": True,
        "aui-replays": 1,
    }


def test_the_default_network_has_the_plain_exchange() -> None:
    assert again(letter(network="default"), RULES).exchange == "aui.jobs"


def test_a_job_by_user_goes_to_the_slot_of_its_user() -> None:
    by_user = letter(body=b'{"user_id":"+49 170","text":"hi"}', task_id=None)

    assert again(by_user, RULES).slot == slot_of("+49 170")


def test_it_does_not_expire_again() -> None:
    one = letter(expiration="1000", headers={"aui-expires-at": 5, "x-death": [{"queue": "q"}]})
    sent = again(one, RULES)

    assert sent.properties.expiration is None
    assert sent.properties.headers["aui-orig-expiration"] == "1000"
    assert "aui-expires-at" not in sent.properties.headers
    assert not [name for name in sent.properties.headers if "x-" in name]


def test_the_producers_trace_stays() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert decoded(letter(headers={"traceparent": parent})).address.trace == {"traceparent": parent}


def test_the_worker_looks_before_it_asks() -> None:
    assert decoded(letter()).maybe_sent


@pytest.mark.parametrize(
    ("one", "made"),
    [
        (letter(attempts=tried(1, 2)), 64),
        (letter(attempts=tried(129, 130), headers={"x-delivery-count": 2}), 192),
        (letter(attempts=tried(700), headers={"aui-attempt-base": 640}), 704),
        (letter(headers={"x-death": [{"queue": "aui.jobs.acme.p00"}]}), 64 * 22),
        (letter(headers={"aui-attempt-base": "x"}), 64),
        (letter(headers={"aui-attempt-base": 2**31}), 2**31),
        (handed_out(letter(), 3), 64 * 4),
    ],
)
def test_attempts_are_numbered_behind_all_that_were_made(one: Envelope, made: int) -> None:
    """Also behind those of replays that were killed before they could take the letter away."""
    assert attempts_made(one) == made
    assert decoded(one).attempt_base == made


def test_a_replay_is_counted() -> None:
    assert again(letter(headers={"aui-replays": 4}), RULES).properties.headers["aui-replays"] == 5


def test_what_was_no_job_is_not_sent_again_as_it_is() -> None:
    one = letter(verdict=NO_JOB)

    assert "edit it first" in str(unfit(head_of(one)))
    assert unfit(head_of(one), force=True) is None
    assert unfit(head_of(edited(one, BODY, AT))) is None


def test_an_edit_of_an_earlier_life_does_not_count() -> None:
    """Sent again it was no job once more: only an edit of this letter helps."""
    one = letter(verdict=NO_JOB, headers={"aui-edited-at": AT})

    assert unfit(head_of(one)) is not None


def test_what_no_worker_wrote_is_not_sent_again() -> None:
    assert "which network" in str(unfit(head_of(replace(letter(), routing_key="aui.dead"))))


def test_an_edited_letter_is_the_same_but_for_its_body() -> None:
    before = handed_out(letter(attempts=tried(1), headers={"mine": "kept"}), 2)
    after = edited(before, b"{}", AT)

    assert (after.body, after.routing_key) == (b"{}", before.routing_key)
    added = {"aui-edited-at", "aui-edited-from"}
    assert (
        set(after.properties.headers)
        == set(before.properties.headers) - {"x-delivery-count"} | added
    )
    assert head_of(after).identity == head_of(before).identity


def test_an_edited_letter_leaves_its_history_behind_when_it_is_sent_again() -> None:
    sent = again(edited(letter(), BODY, AT), RULES)

    assert "aui-edited-from" not in sent.properties.headers
    assert sent.properties.headers["aui-edited-at"] == AT


def test_the_largest_headers_survive_an_edit() -> None:
    """A worker's letter may have 64 KiB of them."""
    verdict = judge(Source.STATUS, 400, detail="x" * 20_000)
    one = letter(verdict=verdict, headers={f"mine-{n}": "y" * 10_000 for n in range(3)})
    after = edited(one, BODY, AT)

    assert set(one.properties.headers) < set(after.properties.headers)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"task_id":"t-1","text":""}', "text"),
        (b'{"task_id":"with.dot","text":"x"}', "task_id"),
        (b"[]", "body"),
        (b"{", "body"),
    ],
)
def test_an_edit_must_make_a_job(body: bytes, field: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        check(edited(letter(), body, AT), RULES)
    assert refused.value.field == field


def test_a_job_passes() -> None:
    check(letter(), RULES)


def test_a_text_is_changed_and_nothing_else() -> None:
    assert with_text(b'{"task_id":"t","text":"a","n":1}', "\u00fc") == (
        '{"task_id": "t", "text": "\u00fc", "n": 1}'.encode()
    )
    assert with_text(b'{"x":"\\ud800","text":"a"}', "b") == b'{"x": "\\ud800", "text": "b"}'
    with pytest.raises(InvalidJob):
        with_text(b"no json", "a")
