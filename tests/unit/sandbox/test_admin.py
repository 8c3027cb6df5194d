"""The sandbox's own routes order faults and tell the state, without a key."""

import json

import httpx
import pytest

from tests.unit.sandbox.client import KEY, Client, until
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(sandbox: Sandbox) -> str:
    """Where the sandbox's own routes are."""
    return sandbox.admin_url


async def test_an_order_is_carried_out(http: httpx.AsyncClient, url: str) -> None:
    orders = {"rest": {"status": 429, "retry_after": 2, "times": 1}}
    answered = await http.post(f"{url}/faults", json=orders, headers={"x-network-api-key": ""})
    assert (answered.status_code, answered.json()) == (200, {"faults": orders})
    limited = await http.get("/tasks?user_id=u")
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert (await http.get("/tasks?user_id=u")).status_code == 200


async def test_orders_are_cleared(http: httpx.AsyncClient, url: str) -> None:
    await http.post(f"{url}/faults", json={"rest": {}})
    assert (await http.get("/tasks?user_id=u")).status_code == 503
    assert (await http.delete(f"{url}/faults")).json() == {"faults": {}}
    assert (await http.get("/tasks?user_id=u")).status_code == 200


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"upgrde": {}}', "unknown fault 'upgrde'"),
        ("[]", "faults are a JSON object"),
        ("{", "body"),
    ],
)
async def test_a_wrong_order_is_explained(
    http: httpx.AsyncClient, url: str, body: str, complaint: str
) -> None:
    answered = await http.post(f"{url}/faults", content=body)
    assert answered.status_code == 422
    assert complaint in answered.json()["detail"]


async def test_the_state_counts_what_there_is(
    sandbox: Sandbox, client: Client, http: httpx.AsyncClient, url: str
) -> None:
    task = sandbox.create_task("u")
    sandbox.fault(connect={"delay": 0, "times": 9})
    async with client.connect() as socket:
        await socket.send(json.dumps({"task_id": task.id, "text": "!stall seconds=1000"}))
        await socket.recv()
        assert (await http.get(f"{url}/state")).json() == {
            "open_sockets": 1,
            "running_turns": 1,
            "tasks": 1,
            "user_messages": 1,
            "faults": {"connect": {"delay": 0, "times": 8}},
        }
    await until(lambda: sandbox.state()["open_sockets"] == 0)
    assert sandbox.state()["running_turns"] == 1
    assert KEY not in (await http.get(f"{url}/state")).text


async def test_a_scenario_stands_for_the_messages_that_follow(
    sandbox: Sandbox, client: Client, http: httpx.AsyncClient, url: str
) -> None:
    task = sandbox.create_task("u")
    await http.post(f"{url}/faults", json={"scenario": "!400 times=1"})
    assert (await client.ask(task.id, "hello")).code == 1008
    assert (await client.ask(task.id, "hello")).final
    assert (await client.ask(task.id, "and another")).code == 1008
    await http.delete(f"{url}/faults")
    assert (await client.ask(task.id, "one more")).final
    sandbox.scenario("!1008")
    assert (await client.ask(task.id, "and the last")).code == 1008


async def test_a_task_is_made_while_the_api_is_out(
    sandbox: Sandbox, http: httpx.AsyncClient, url: str
) -> None:
    sandbox.fault(rest={"status": 503})
    made = await http.post(f"{url}/tasks", json={"user_id": "u", "task_id": "mine"})
    assert made.json() == {"id": "mine", "user_id": "u"}
    assert sandbox.store.tasks["mine"].user_id == "u"
    again = await http.post(f"{url}/tasks", json={"user_id": "u", "task_id": "mine"})
    assert (again.status_code, again.json()["detail"]) == (422, "there is a task mine already")
    assert (await http.post(f"{url}/tasks", json={})).status_code == 422


async def test_all_that_was_said_can_be_read(
    sandbox: Sandbox, client: Client, http: httpx.AsyncClient, url: str
) -> None:
    first, second = sandbox.create_task("u"), sandbox.create_task("v")
    await client.ask(first.id, "!lag seconds=1000 | hello", context={"url": "https://x"})
    await client.ask(second.id, "hi")
    told = (await http.get(f"{url}/messages")).json()
    assert [(line["task_id"], line["user_id"], line["sender"]) for line in told] == [
        (first.id, "u", "user"),
        (first.id, "u", "agent"),
        (second.id, "v", "user"),
        (second.id, "v", "agent"),
    ]
    assert told[0]["text"] == "!lag seconds=1000 | hello"
    assert told[0]["request"]["context"] == {"url": "https://x"}
    of_one = (await http.get(f"{url}/messages?task_id={second.id}")).json()
    assert of_one == told[2:]
    assert (await http.get(f"{url}/messages?task_id=none")).json() == []
