"""Everything is served under both path families, and nothing else is."""

import httpx
import pytest

from tests.unit.sandbox.client import QUERY, Client, ask
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("prefix", ["/api/ia-controller", "/ia-controller"])
async def test_both_path_families_lead_to_the_same_tasks(
    sandbox: Sandbox, client: Client, http: httpx.AsyncClient, prefix: str
) -> None:
    root = f"http://127.0.0.1:{sandbox.port}{prefix}/api/v1/external"
    task = (await http.post(f"{root}/tasks", json={"user_id": "u"})).json()
    assert (await http.get(f"{root}/tasks?user_id=u")).json()["total"] == 1
    sent = {"task_id": task["id"], "text": "hi"}
    assert (await http.post(f"{root}/message", json=sent)).status_code == 200
    assert len((await http.get(f"{root}/tasks/{task['id']}/messages")).json()) == 2
    async with client.connect(uri=f"{root.replace('http', 'ws')}/session?{QUERY}") as socket:
        assert (await ask(socket, task["id"], "hi")).final


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/tasks", 405), ("GET", "/message", 405)],
)
async def test_what_there_is_not_is_refused_in_auis_words(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answered = await http.request(method, path)
    assert (answered.status_code, answered.json()["status_code"]) == (status, status)
    assert answered.json()["extra_data"]["method"] == method
