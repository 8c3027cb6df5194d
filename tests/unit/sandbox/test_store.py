"""The store remembers everything and shows it when it is time."""

import re

import pytest

from worker.sandbox.assistant import answer
from worker.sandbox.store import Store, Task


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.seconds = 1_773_066_121.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """The store's clock, both of them."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    """An empty store."""
    return Store(now=clock, monotonic=clock)


def shown(store: Store, task: Task) -> list[tuple[str, str]]:
    """Who said what, as the history shows it now."""
    return [(message.sender, message.text) for message in store.history(task)]


def test_ids_are_object_ids_that_tell_the_time_and_rise(store: Store, clock: Clock) -> None:
    ids = [store.new_id() for _ in range(1000)]
    assert all(re.fullmatch(r"[0-9a-f]{24}", one) for one in ids)
    assert {int(one[:8], 16) for one in ids} == {int(clock.seconds)}
    assert ids == sorted(set(ids))


def test_a_timestamp_is_written_as_in_the_documents(store: Store, clock: Clock) -> None:
    assert store.timestamp() == "2026-03-09T14:22:01.000Z"
    clock.seconds += 0.5
    assert store.timestamp() == "2026-03-09T14:22:01.500Z"


def test_a_new_task_is_the_documents_sample(store: Store) -> None:
    task = store.create_task("user_123", "68e78d0dc5a4b19a030d03d6")
    assert task == Task(
        id="68e78d0dc5a4b19a030d03d6",
        user_id="user_123",
        title="New Conversation",
        welcome_message=(
            "Hi! I'm here to help you find the perfect product. What are you looking for today?"
        ),
        followup_suggestions=(
            "Show me your best sellers",
            "I need help choosing a product",
            "What's on sale right now?",
        ),
    )
    assert store.tasks == {task.id: task}


def test_a_task_id_is_given_once(store: Store) -> None:
    store.create_task("a", "t")
    with pytest.raises(ValueError, match="there is a task t already"):
        store.create_task("b", "t")
    assert store.tasks_of("b") == []


def test_users_have_their_own_tasks_oldest_first(store: Store) -> None:
    first, _, second = (store.create_task(user) for user in ("a", "b", "a"))
    assert store.tasks_of("a") == [first, second]
    assert store.tasks_of("nobody") == []


def test_a_history_has_both_sides_and_names_the_task(store: Store) -> None:
    task = store.create_task("u")
    store.add_user_message(task, {"task_id": task.id, "text": "a microwave"})
    said = answer("a microwave", None)
    message = store.add_answer(task, "m" * 24, said)
    assert shown(store, task) == [("user", "a microwave"), ("agent", said.text)]
    assert message.id == "m" * 24
    assert task.title == "Microwave Search"
    assert task.previous == said


def test_a_lagging_message_shows_late_and_counts_at_once(store: Store, clock: Clock) -> None:
    task = store.create_task("u")
    store.add_user_message(task, {"text": "hi"}, lag=3)
    clock.seconds += 2
    store.add_answer(task, "m", answer("hi", None), lag=3)
    assert shown(store, task) == []
    assert [message.text for message in store.user_messages(task.id)] == ["hi"]
    clock.seconds += 1
    assert [sender for sender, _ in shown(store, task)] == ["user"]
    clock.seconds += 2
    assert [sender for sender, _ in shown(store, task)] == ["user", "agent"]


def test_user_messages_of_one_task_or_of_all_keep_the_request(store: Store) -> None:
    one, other = store.create_task("a"), store.create_task("b")
    request = {"task_id": one.id, "text": "hi", "context": {"url": "https://example.com"}}
    store.add_user_message(one, request)
    store.add_user_message(other, {"text": "ho"})
    assert [message.request for message in store.user_messages(one.id)] == [request]
    assert [message.text for message in store.user_messages()] == ["hi", "ho"]
    with pytest.raises(KeyError):
        store.user_messages("unknown")
