"""A journal tells everything, in time, and a store that starts from it is the one that ended."""

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.client import KEY, MICROWAVE, Client
from worker.sandbox import DialectName, Sandbox
from worker.sandbox.assistant import answer
from worker.sandbox.faults import Faults
from worker.sandbox.journal import journaled_store
from worker.sandbox.store import Store
from worker.sandbox.turns import Turns
from worker.sandbox.validation import MessageRequest


class Clock:
    """A clock that stands still until told."""

    def __init__(self, seconds: float = 1_773_066_121.25) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        """The time."""
        return self.seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no journal yet."""
    return tmp_path / "journal"


@pytest.fixture
def start(path: Path) -> Callable[[], Store]:
    """Starts a store on the journal, at a time that stands still."""
    clock = Clock()
    return lambda: journaled_store(path, clock, clock)


def lines(path: Path) -> list[dict[str, Any]]:
    """What the journal tells."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def conversation(store: Store) -> None:
    """Two users' tasks, with an answer each that comes after both questions."""
    tasks = [store.create_task("user_123", "t1"), store.create_task("user_ü", "t2")]
    asked = [
        store.add_user_message(task, {"task_id": task.id, "text": text, "context": {"url": "u"}})
        for task, text in zip(tasks, ("a microwave", "ein Kühlschrank"), strict=True)
    ]
    for task, question in zip(tasks, asked, strict=True):
        said = answer(question.text, None)
        store.add_answer(task, f"answer to {task.id}", said, answers=question.id)


def test_a_line_tells_all_there_is_to_know(start: Callable[[], Store], path: Path) -> None:
    store = start()
    task = store.create_task("user_123", "t")
    request = {"task_id": "t", "text": "hi", "context": {"url": "u"}, "unknown": 1}
    asked = store.add_user_message(task, request, lag=3)
    said = answer("hi", None)
    store.add_answer(task, "m", said, lag=0.5, answers=asked.id)
    store.give_up(task, asked)
    common = {
        "task_id": "t",
        "user_id": "user_123",
        "at": 1_773_066_121.25,
        "created_at": "2026-03-09T14:22:01.250Z",
    }
    assert lines(path) == [
        {"kind": "task", **common},
        {
            "kind": "user",
            **common,
            "message_id": asked.id,
            "visible_at": 1_773_066_124.25,
            "text": "hi",
            "request": request,
        },
        {
            "kind": "agent",
            **common,
            "message_id": "m",
            "visible_at": 1_773_066_121.75,
            "text": said.text,
            "answers": asked.id,
            "products": [product.id for product in said.products],
            "suggestions": list(said.suggestions),
        },
        {"kind": "unanswered", **common, "message_id": asked.id},
    ]


def test_a_store_comes_back_as_it_was(start: Callable[[], Store]) -> None:
    before = start()
    conversation(before)
    for _ in range(2):
        after = start()
        assert after.tasks == before.tasks
        assert list(after.tasks) == ["t1", "t2"]
        assert after.tasks_of("user_ü") == before.tasks_of("user_ü")
        assert after.user_messages() == before.user_messages()
        assert after.tasks["t1"].title == "Microwave Search"


def test_a_store_that_came_back_goes_on_in_the_same_journal(start: Callable[[], Store]) -> None:
    conversation(start())
    second = start()
    second.add_user_message(second.tasks["t1"], {"text": "the cheaper one"})
    third = start()
    assert third.tasks == second.tasks
    assert [line.text for line in third.user_messages("t1")] == ["a microwave", "the cheaper one"]


def test_a_last_line_that_was_cut_off_anywhere_never_happened(
    start: Callable[[], Store], path: Path
) -> None:
    conversation(start())
    whole = path.read_bytes()
    last = whole.rfind(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        store = start()
        assert [len(task.messages) for task in store.tasks.values()] == [2, 1]
        store.create_task("u", "new")
        assert [line.get("kind") for line in lines(path)[-2:]] == ["agent", "task"]


@pytest.mark.parametrize("broken", ["", "{", "[]", "7", "{}", '{"kind": "task"}', "first"])
def test_a_line_that_is_none_is_named(start: Callable[[], Store], path: Path, broken: str) -> None:
    conversation(start())
    whole = path.read_text().splitlines()
    whole[2] = whole[0] if broken == "first" else broken
    path.write_text("\n".join(whole) + "\n")
    with pytest.raises(ValueError, match=rf"{path} is no journal, see line 3"):
        start()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "oracle"},
        {"task_id": "unknown"},
        {"products": ["mw-unknown"]},
        {"visible_at": "soon"},
    ],
)
def test_a_line_nobody_can_understand_is_named(
    start: Callable[[], Store], path: Path, wrong: dict[str, Any]
) -> None:
    conversation(start())
    whole = lines(path)
    whole[-1] |= wrong
    path.write_text("".join(json.dumps(line) + "\n" for line in whole))
    with pytest.raises(ValueError, match="see line 6"):
        start()


def test_a_lagging_message_shows_when_it_would_have(path: Path) -> None:
    clock = Clock()
    before = journaled_store(path, clock, Clock(5_000))
    before.add_user_message(before.create_task("u", "t"), {"text": "hi"}, lag=3)
    clock.seconds += 2
    steady = Clock(7)
    after = journaled_store(path, clock, steady)
    assert after.history(after.tasks["t"]) == []
    assert len(after.user_messages("t")) == 1
    steady.seconds += 1
    assert [line.text for line in after.history(after.tasks["t"])] == ["hi"]


def test_any_request_can_be_kept(start: Callable[[], Store], path: Path) -> None:
    store = start()
    request = {"text": "a\u2028b\nc ✓", "half": "\ud800", "deep": [{"x": [1e300, None]}]}
    store.add_user_message(store.create_task("u", "t"), request)
    assert path.read_bytes().isascii()
    assert [line.request for line in start().user_messages("t")] == [request]


def test_what_cannot_be_kept_is_not_remembered(start: Callable[[], Store], path: Path) -> None:
    store = start()
    task = store.create_task("u", "t")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        store.add_user_message(task, {"text": "hi"})
    with pytest.raises(FileNotFoundError):
        store.create_task("u", "other")
    assert list(store.tasks) == ["t"]
    assert task.messages == []


def test_half_a_line_on_a_full_disk_spoils_nothing(start: Callable[[], Store], path: Path) -> None:
    store = start()
    task = store.create_task("u", "t")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, hard))
    try:
        with pytest.raises(OSError, match="took 40 of"):
            store.add_user_message(task, {"text": "hi"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.add_user_message(task, {"text": "again"})
    assert [line.text for line in start().user_messages()] == ["again"]


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["!1011 | hi", "!400", "!cut answered=no", "fault"])
async def test_it_tells_what_will_not_be_answered_and_comes_back_from_that(
    path: Path, start: Callable[[], Store], text: str
) -> None:
    async with Sandbox(api_key=KEY, word_delay=0, journal=path) as sandbox:
        if text == "fault":
            sandbox.fault(answer={"times": 1})
        await Client(sandbox).ask(sandbox.create_task("u", "t").id, text)
    _, asked, unanswered = lines(path)
    assert (asked["kind"], unanswered["kind"]) == ("user", "unanswered")
    assert asked["message_id"] == unanswered["message_id"]
    assert [line.text for line in start().user_messages("t")] == [text]


def test_what_a_scenario_has_struck_survives(start: Callable[[], Store]) -> None:
    start().create_task("u", "t")
    text = "!1011 times=2 | a microwave"
    request = MessageRequest("t", text, {"task_id": "t", "text": text})
    struck = [Turns(start(), 0, Faults()).open(request).directive.scenario for _ in range(4)]
    assert struck == ["1011", "1011", "", ""]


@pytest.mark.anyio
@pytest.mark.parametrize("dialect", ["docs", "sdk"])
async def test_rest_shows_the_same_after_a_restart(path: Path, dialect: DialectName) -> None:
    async def shown(sandbox: Sandbox) -> list[Any]:
        url = f"{sandbox.base_url}/api/v1/external/tasks"
        async with httpx.AsyncClient(headers={"x-network-api-key": KEY}) as http:
            listed = (await http.get(f"{url}?user_id=u")).json()
            return [listed, *[(await http.get(f"{url}/{id_}/messages")).json() for id_ in ids]]

    async with Sandbox(api_key=KEY, dialect=dialect, word_delay=0, journal=path) as sandbox:
        ids = [sandbox.create_task("u").id for _ in range(3)]
        for text in (MICROWAVE, "!1011 | hello", "the cheaper one"):
            await Client(sandbox).ask(ids[0], text)
        await Client(sandbox).ask(ids[1], "fridges")
        before = await shown(sandbox)
    async with Sandbox(api_key=KEY, dialect=dialect, word_delay=0, journal=path) as sandbox:
        assert await shown(sandbox) == before
        followed = await Client(sandbox).ask(ids[1], "the cheapest")
    assert [len(one) for one in before[1:]] == [5, 2, 0]
    assert followed.final["text"].startswith("The cheapest of these is the Larder")


@pytest.mark.anyio
async def test_nobody_hears_what_is_not_in_the_journal(path: Path) -> None:
    async with (
        Sandbox(api_key=KEY, word_delay=0, journal=path) as sandbox,
        httpx.AsyncClient(headers={"x-network-api-key": KEY}) as http,
    ):
        url = f"{sandbox.base_url}/api/v1/external"
        task = (await http.post(f"{url}/tasks", json={"user_id": "u"})).json()
        assert [line["task_id"] for line in lines(path)] == [task["id"]]
        said = {"task_id": task["id"], "text": "!final-only | hi"}
        final = (await http.post(f"{url}/message", json=said)).json()
    _, asked, answered = lines(path)
    assert asked["request"] == said
    assert answered["message_id"] == final["id"]
    assert answered["created_at"] == final["created_at"]
    assert answered["answers"] == asked["message_id"]
