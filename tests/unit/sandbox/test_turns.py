"""A turn is recorded when it opens, and played to its end whoever listens."""

import asyncio
from itertools import pairwise

import pytest

from tests.unit.sandbox.client import until
from worker.sandbox.directive import Directive
from worker.sandbox.faults import Faults
from worker.sandbox.refusal import Failure, Refused
from worker.sandbox.store import Store, TaskMessage
from worker.sandbox.turns import Turn, Turns
from worker.sandbox.validation import MessageRequest

pytestmark = pytest.mark.anyio


class Listener:
    """An outlet that keeps what it hears, and what the history showed when the final came."""

    def __init__(self, store: Store) -> None:
        self.heard: list[object] = []
        self.recorded_at_final = 0
        self._store = store

    async def update(self, text: str) -> None:
        """Keeps the text."""
        self.heard.append(text)

    async def finish(self, message: TaskMessage) -> None:
        """Keeps the message."""
        self.recorded_at_final = sum(len(task.messages) for task in self._store.tasks.values())
        self.heard.append(message)

    async def fail(self, failure: Failure, code: int) -> None:
        """Keeps status and code."""
        self.heard.append(("fail", failure.status, code))

    async def close(self, code: int) -> None:
        """Keeps the code."""
        self.heard.append(("close", code))

    async def drop(self, *, reset: bool) -> None:
        """Keeps how."""
        self.heard.append(("drop", reset))

    async def garbage(self) -> None:
        """Keeps the fact."""
        self.heard.append("garbage")

    async def unknown(self) -> None:
        """Keeps the fact."""
        self.heard.append("unknown")

    async def hush(self) -> None:
        """Keeps the fact."""
        self.heard.append("hush")


@pytest.fixture
def store() -> Store:
    """A store with one task, `t`."""
    store = Store()
    store.create_task("u", "t")
    return store


def request(text: str, task_id: str = "t") -> MessageRequest:
    """A user message."""
    return MessageRequest(task_id, text, {"task_id": task_id, "text": text})


async def played(turns: Turns, store: Store, text: str) -> tuple[Turn, Listener]:
    """A turn and what was heard of it."""
    turn, listener = turns.open(request(text)), Listener(store)
    await turns.play(turn, listener)
    return turn, listener


async def test_a_turn_streams_then_records_then_finishes(store: Store) -> None:
    turn, listener = await played(Turns(store, 0, Faults()), store, "a microwave")
    *texts, final = listener.heard
    assert isinstance(final, TaskMessage)
    assert texts[-1] == final.text == turn.answer.text
    assert all(str(later).startswith(str(text)) for text, later in pairwise(texts))
    assert listener.recorded_at_final == 2
    assert store.tasks["t"].messages[-1] is final


async def test_the_question_is_recorded_before_the_turn_is_played(store: Store) -> None:
    Turns(store, 0, Faults()).open(request("!1011 | hi"))
    assert [line.text for line in store.tasks["t"].messages] == ["!1011 | hi"]


async def test_every_disturbance_reaches_the_outlet(store: Store) -> None:
    turns = Turns(store, 0, Faults())
    heard = [
        (await played(turns, store, text))[1].heard[0]
        for text in (
            "!error after=0",
            "!1008",
            "!cut after=0",
            "!reset after=0",
            "!garbage after=0",
            "!unknown after=0",
            "!silence",
        )
    ]
    assert heard == [
        ("fail", 503, 1011),
        ("close", 1008),
        ("drop", False),
        ("drop", True),
        "garbage",
        "unknown",
        "hush",
    ]


async def test_an_unanswered_turn_leaves_only_the_question(store: Store) -> None:
    await played(Turns(store, 0, Faults()), store, "!1011")
    assert [line.sender for line in store.tasks["t"].messages] == ["user"]


async def test_a_scenario_strikes_as_often_as_told_for_each_task_and_text(store: Store) -> None:
    store.create_task("u", "other")
    turns = Turns(store, 0, Faults())
    text = "!1011 times=2 | a microwave"
    scenarios = [turns.open(request(text)).directive.scenario for _ in range(3)]
    assert scenarios == ["1011", "1011", ""]
    assert turns.open(request(text)).directive == Directive("", "a microwave")
    assert turns.open(request(text, "other")).directive.scenario == "1011"
    assert turns.open(request(text + "!")).directive.scenario == "1011"
    assert turns.open(request("!1011")).directive.scenario == "1011"
    assert turns.open(request("!1011")).directive.scenario == "1011"


async def test_a_message_is_struck_by_its_place_in_the_task_whatever_came_of_the_others(
    store: Store,
) -> None:
    faults = Faults()
    turns = Turns(store, 0, faults)
    faults.order({"answer": {"times": 1}})
    text = "!400 times=2 | hi"
    heard = [(await played(turns, store, text))[1].heard[-1] for _ in range(3)]
    assert heard[:2] == [("close", 1011), ("fail", 400, 1008)]
    assert isinstance(heard[2], TaskMessage)


async def test_an_answer_names_its_question(store: Store) -> None:
    turns = Turns(store, 0, Faults())
    first, second = turns.open(request("a microwave")), turns.open(request("a fridge"))
    for turn in (second, first):
        await turns.play(turn, Listener(store))
    asked, also_asked, *answered = store.tasks["t"].messages
    assert [line.answers for line in answered] == [also_asked.id, asked.id]


async def test_a_standing_order_ends_a_turn_in_place_of_its_answer(store: Store) -> None:
    faults = Faults()
    turns = Turns(store, 0, faults)
    faults.order({"answer": {"code": 1012, "times": 1}})
    with pytest.raises(Refused):
        turns.open(request("!nonsense"))
    assert (await played(turns, store, "!huge | hi"))[1].heard == [("close", 1012)]
    assert [line.sender for line in store.tasks["t"].messages] == ["user"]
    assert isinstance((await played(turns, store, "hi"))[1].heard[-1], TaskMessage)


@pytest.mark.parametrize(
    ("text", "task_id", "status"), [("hi", "unknown", 404), ("!nonsense", "t", 422)]
)
async def test_a_refused_message_is_not_recorded(
    store: Store, text: str, task_id: str, status: int
) -> None:
    with pytest.raises(Refused) as refused:
        Turns(store, 0, Faults()).open(request(text, task_id))
    assert refused.value.failure.status == status
    assert store.user_messages() == []


async def test_the_agent_remembers_the_conversation(store: Store) -> None:
    turns = Turns(store, 0, Faults())
    await played(turns, store, "a microwave")
    turn, _ = await played(turns, store, "the cheaper one")
    assert turn.answer.text.startswith("The cheapest of these is the Nordvik")


async def test_running_counts_the_turns_in_play(store: Store) -> None:
    turns = Turns(store, 0, Faults())

    class Counting(Listener):
        async def update(self, text: str) -> None:
            """Keeps the count instead of the text."""
            self.heard.append(turns.running)

    counting = Counting(store)
    await turns.play(turns.open(request("!load updates=2 interval=0 chunk=1")), counting)
    assert counting.heard[:2] == [1, 1]
    assert turns.running == 0


async def test_words_come_at_their_pace(store: Store) -> None:
    turns, listener = Turns(store, word_delay=999, faults=Faults()), Listener(store)
    playing = asyncio.create_task(turns.play(turns.open(request("hi")), listener))
    await until(lambda: listener.heard != [])
    for _ in range(100):
        await asyncio.sleep(0)
    assert listener.heard == ["I"]
    playing.cancel()
    await asyncio.wait([playing])
    assert turns.running == 0
