"""Each user may do what it has to, by what the broker looks at, and reaches nobody else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, words
from worker.amqp.rights import Question, publishing_questions, questions
from worker.core.permissions import (
    Bot,
    Mode,
    User,
    admin,
    bot,
    markdown,
    monitor,
    operator,
    producer,
    users,
    web,
    worker,
)
from worker.core.topology import jobs_exchange, partition_queue, topology, unslotted

NETWORKS = ["default", "acme"]
MODES: list[Mode] = ["declare", "verify"]


def asked(mode: Mode) -> list[Question]:
    """All that ``aui-worker check`` asks the broker for."""
    asked = questions(NETWORKS, 16, "worker-1", mode)
    return asked + publishing_questions(NETWORKS, mode)


def needed(mode: Mode) -> set[tuple[str, str]]:
    """The rights behind that: which one, to what."""
    return {
        (right, name)
        for question in asked(mode)
        for (kind, name), right in question.rights.items()
        if kind != "topic"
    }


def may(user: User, right: str, name: str) -> bool:
    """Tell whether the broker would let a user."""
    patterns = {"configure": user.configure, "write": user.write, "read": user.read}
    return re.search(patterns[right], name) is not None


def without_one(pattern: str) -> list[str]:
    """A pattern without each of its alternatives in turn."""
    parts = re.split(r"\|(?![^(]*\))", pattern.removeprefix("^(").removesuffix(")$"))
    rest = ([*parts[:n], *parts[n + 1 :]] for n in range(len(parts)))
    return [f"^({'|'.join(some)})$" if some else "^$" for some in rest]


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_has_every_right_that_its_check_asks_for(mode: Mode) -> None:
    user = worker(NETWORKS, mode)
    assert [one for one in needed(mode) if not may(user, *one)] == []


def test_a_worker_that_verifies_has_no_right_that_its_check_does_not_ask_for() -> None:
    """So a part that is taken away is always found to lack."""
    user = worker(NETWORKS, "verify")
    for right in ("configure", "write", "read"):
        less = without_one(getattr(user, right))
        assert len(less) > 1
        for pattern in less:
            names = [name for of, name in needed("verify") if of == right]
            assert [name for name in names if not re.search(pattern, name)], (right, pattern)


def test_a_worker_that_declares_may_do_what_the_admin_may() -> None:
    declaring, everything = worker(NETWORKS, "declare"), admin()
    rights = ("configure", "write", "read")
    assert [getattr(declaring, r) for r in rights] == [getattr(everything, r) for r in rights]


def test_the_admin_may_make_all_that_stands() -> None:
    objects = topology(NETWORKS, 16)
    names = [exchange.name for exchange in objects.exchanges]
    names += [queue.name for queue in objects.queues] + ["aui.repartition.lock"]
    for right in ("configure", "write", "read"):
        assert all(may(admin(), right, name) for name in names)


@SOME
@given(network=words, other=words, partition=st.integers(0, 255))
def test_no_one_reaches_into_another_network(network: str, other: str, partition: int) -> None:
    if network == other or other in ("default", "unslotted"):
        return
    theirs = [partition_queue(other, partition), unslotted(other)]
    people = [worker([network], "verify"), operator([network]), producer(network)]
    people += [bot(Bot("a", network)), web([network])]
    for user in people:
        assert not may(user, "write", jobs_exchange(other))
        assert not any(may(user, right, name) for right in ("read", "configure") for name in theirs)


@SOME
@given(name=words, other=words)
def test_a_bot_has_its_own_queues_only(name: str, other: str) -> None:
    user = bot(Bot(name, "acme"))
    for right in ("configure", "write", "read"):
        assert may(user, right, f"sub.{name}")
        assert may(user, right, f"sub.{name}.more")
        assert may(user, right, f"sub.{other}") == (name == other)
        assert not may(user, right, f"sub.{name}{other}")
        assert not may(user, right, "amq.gen-x")


@pytest.mark.parametrize("channel", [None, "sms"])
def test_a_bot_hears_its_network_or_its_channel_of_it(channel: str | None) -> None:
    (right,) = bot(Bot("b", "acme", channel)).topics
    heard = {
        key: re.search(right.read, key) is not None
        for key in ("acme.sms.*.final", "acme.web.t.#", "acme.*.t.*", "#", "*.#", "acmex.sms.#")
    }
    assert (right.exchange, right.write) == ("aui.replies", "^$")
    assert [key for key, may_hear in heard.items() if may_hear] == [
        "acme.sms.*.final",
        *([] if channel else ["acme.web.t.#", "acme.*.t.*"]),
    ]


def test_nobody_but_the_workers_and_the_admin_may_speak_on_the_hub() -> None:
    everybody = users(NETWORKS, [Bot("b", "acme")])
    speak = [user.name for user in everybody if may(user, "write", "aui.replies")]
    to_tasks = [user.name for user in everybody if may(user, "write", "aui.task.t")]
    anywhere = [user.name for user in everybody if may(user, "write", "amq.default")]
    assert speak == to_tasks == anywhere == ["aui-worker", "aui-admin"]


def test_the_monitor_touches_nothing() -> None:
    assert (monitor().configure, monitor().write, monitor().read) == ("^$",) * 3
    tagged = [user.name for user in users(NETWORKS) if user.tags]
    assert tagged == ["aui-monitor"]


@pytest.mark.parametrize("mode", MODES)
def test_every_user_is_called_otherwise_and_every_pattern_is_anchored(mode: Mode) -> None:
    everybody = users(NETWORKS, [Bot("b", "acme"), Bot("c", "default", "sms")], mode)
    assert len({user.name for user in everybody}) == len(everybody)
    patterns = [p for user in everybody for p in (user.configure, user.write, user.read)]
    assert all(pattern.startswith("^") for pattern in patterns)


@pytest.mark.parametrize(
    ("text", "read"),
    [("b=acme", Bot("b", "acme")), ("acme-sms=acme.sms", Bot("acme-sms", "acme", "sms"))],
)
def test_a_bot_is_read_off_a_command_line(text: str, read: Bot) -> None:
    assert Bot.read(text) == read


@pytest.mark.parametrize(
    "text", ["", "b", "b=", "=acme", "b=a.b.c", "b=acme.", "b.c=acme", "b|c=acme", "web=acme"]
)
def test_what_is_no_bot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be like|other queues"):
        Bot.read(text)


def test_the_table_has_a_row_for_each_user() -> None:
    everybody = users(["default"], [Bot("b", "default")])
    rows = markdown(everybody).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [user.name for user in everybody]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
