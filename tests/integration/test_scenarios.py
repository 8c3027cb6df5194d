"""Each scenario of the sandbox, through a real RabbitMQ: what the subscriber and aui.dead see."""

import json
from dataclasses import dataclass

import pytest
from harness import CANARY, Bench

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Case:
    """A message, and how it must end."""

    text: str
    ends: str
    attempts: int = 1
    retries: tuple[str, ...] = ()


FINAL = "message.completed"
ANSWERED = [
    Case("a microwave, please", FINAL),
    Case("!1011 after=3 times=2 | a microwave", FINAL, 3, ("upstream_error", "upstream_error")),
    Case("!error status=503 times=1 | a microwave", FINAL, 2, ("upstream_error",)),
    Case("!error status=429 times=1 retry_after=1 | a microwave", FINAL, 2, ("rate_limited",)),
    Case("!cut after=3 times=1 | a microwave", FINAL, 2, ("connection_lost",)),
    Case("!reset times=1 | a microwave", FINAL, 2, ("connection_lost",)),
    Case("!close code=1000 after=3 times=1 | a microwave", FINAL, 2, ("connection_lost",)),
    Case("!close code=1012 times=1 | a microwave", FINAL, 2, ("service_restart",)),
    Case("!close code=1013 times=1 | a microwave", FINAL, 2, ("try_again_later",)),
    Case("!silence answered=yes | a microwave", FINAL, 2, ("timeout",)),
    Case("!stall seconds=3 after=2 times=1 | a microwave", FINAL, 2, ("timeout",)),
    Case("!stall seconds=0.3 after=2 | a microwave", FINAL),
    Case("!garbage answered=yes | a microwave", FINAL, 2, ("garbage_frame",)),
    Case("!unknown | a microwave", FINAL),
    Case("!huge bytes=2000000 | a microwave", FINAL),
    Case("!rewrite | a microwave", FINAL),
    Case("!final-only | a microwave", FINAL),
    Case("!load updates=50 interval=0 chunk=20", FINAL),
    Case("!lag seconds=1 | a microwave", FINAL),
]
REFUSED = [
    Case("!1008 after=0", "policy_violation"),
    Case("!1008 after=2 status=401", "unauthorized"),
    Case("!1008 status=503", "upstream_error"),
    Case("!400 | something", "bad_request"),
    Case("!error status=404", "not_found"),
    Case("!error status=422", "unprocessable"),
    Case("!error status=409", "client_error"),
    Case("!close code=1003", "protocol_error"),
    Case("!close code=4002", "protocol_error"),
    Case("!1011", "upstream_error", 3, ("upstream_error", "upstream_error")),
    Case("!close code=1011 answered=no", "internal_error", 3, ("internal_error", "internal_error")),
    Case("!nonsense | a microwave", "unprocessable"),
]


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case.text)
async def test_an_answered_message_ends_in_one_final(
    served: Bench, sandbox: Sandbox, case: Case
) -> None:
    """Updates of each attempt grow in order, retries are told, one final ends it."""
    task = sandbox.create_task("user")
    hub = await served.hub()

    job = await served.say(task.id, case.text)
    final = await hub.ended(job)

    assert final.type == case.ends
    assert final.headers["aui-attempt"] == case.attempts
    retrying = [m for m in hub.of(job) if m.type == "message.retrying"]
    assert tuple(m.headers["aui-reason"] for m in retrying) == case.retries
    places = [(m.headers["aui-attempt"], m.headers["aui-seq"]) for m in hub.of(job)]
    assert places == sorted(set(places))
    answer = sandbox.store.tasks[task.id].messages[-1]
    assert json.loads(final.body)["id"] == answer.id
    assert json.loads(final.body)["text"] == answer.text


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.text)
async def test_a_refused_message_ends_in_failed_and_a_dead_letter(
    served: Bench, sandbox: Sandbox, case: Case
) -> None:
    """The job is kept with its reason, the subscriber is told, and the key shows nowhere."""
    task = sandbox.create_task("user")
    hub, dead = await served.hub(), await served.dead()

    job = await served.say(task.id, case.text)
    failed = await hub.ended(job)
    (letter,) = await dead.until(lambda letters: len(letters) == 1)

    assert failed.type == "message.failed"
    assert failed.headers["aui-reason"] == case.ends
    assert failed.headers["aui-attempt"] == case.attempts
    assert letter.headers["aui-dead-reason"] == case.ends
    assert letter.routing_key == f"{served.network}.default.{task.id}.{case.ends}"
    told = json.loads(str(letter.headers["aui-dead-attempts"]))
    assert [attempt["what"] for attempt in told] == [*case.retries, case.ends]
    assert CANARY not in f"{failed.body!r} {failed.headers} {letter.headers}"


@pytest.mark.parametrize(
    ("status", "ends"), [(401, "unauthorized"), (403, "unauthorized"), (404, "not_found")]
)
async def test_a_refused_upgrade_is_judged_by_its_status(
    served: Bench, sandbox: Sandbox, status: int, ends: str
) -> None:
    """An HTTP status on the WebSocket's upgrade is judged like an error frame."""
    hub = await served.hub()
    # An answer between: three tasks in a row whose key is refused would brown the network out.
    await hub.ended(await served.say(sandbox.create_task("user").id, "hello"))
    sandbox.fault(upgrade={"status": status})

    failed = await hub.ended(await served.say(sandbox.create_task("user").id, "hello"))

    assert failed.headers["aui-reason"] == ends
    assert CANARY not in repr(failed.body)


@pytest.mark.parametrize(
    "fault",
    [
        {"upgrade": {"status": 429, "retry_after": 1, "times": 1}},
        {"upgrade": {"status": 503, "times": 1}},
        {"connect": {"delay": 3, "times": 1}},
    ],
    ids=["429", "503", "slow connect"],
)
async def test_an_upgrade_that_fails_once_is_tried_again(
    served: Bench, sandbox: Sandbox, fault: dict[str, dict[str, int]]
) -> None:
    """What comes before any text is retried too, and the message is sent only once."""
    sandbox.fault(**fault)
    task = sandbox.create_task("user")
    hub = await served.hub()

    final = await hub.ended(await served.say(task.id, "a microwave"))

    assert final.type == FINAL
    assert final.headers["aui-attempt"] == 2
    assert len(sandbox.store.user_messages(task.id)) == 1
