"""A worker dies right after an ack that its broker never came to: the next job is begun already."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from harness import CANARY, PARTITIONS, Bench, settings, working
from lines import Line

from worker.core.slots import partition_of, slot_of
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def ask(sandbox: Sandbox, task_id: str, text: str) -> str:
    """Ask the agent, as the worker did that is dead; return the id of the answer."""
    async with httpx.AsyncClient(headers={"x-network-api-key": CANARY}) as http:
        said = {"task_id": task_id, "text": text}
        answered = await http.post(f"{sandbox.base_url}/api/v1/external/message", json=said)
        return str(answered.raise_for_status().json()["id"])


@pytest.mark.parametrize("begun", [2, 3], ids=["the next one begun", "and one after that"])
async def test_a_job_whose_ack_was_lost_is_found_before_the_next_one(
    at: Bench, lines: list[Line], amqp_url: str, sandbox: Sandbox, begun: int
) -> None:
    """All of them come again, and all are in the history: nobody is asked again."""
    texts = ["a microwave", "the cheaper one", "and a fridge"][:begun]
    task = sandbox.create_task("user")
    hub = await at.hub()
    jobs = [await at.say(task.id, text, timestamp=datetime.now(UTC)) for text in texts]
    line = lines[partition_of(slot_of(task.id), PARTITIONS)]
    await line.until_ready(begun)
    await line.hand_out_in_vain(1)
    answers = [await ask(sandbox, task.id, text) for text in texts]

    async with working(settings(amqp_url, sandbox, at.network)):
        finals = [await hub.ended(job) for job in jobs]

    assert [said.text for said in sandbox.store.user_messages(task.id)] == texts
    assert [final.headers.get("aui-recovered") for final in finals] == [True] * begun
    assert [json.loads(final.body)["id"] for final in finals] == answers
