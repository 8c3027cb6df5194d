"""A conversation stays a conversation, and lanes never wait for each other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.conformance.script import PATIENCE, Gate
from tests.fakes import Journal
from tests.unit.relay.flow import let_run, no_task_left
from worker.relay.lanes import Lanes

pytestmark = pytest.mark.anyio


@dataclass
class Piece:
    """A piece of work that waits at its gate, and is joined by pieces of the same name."""

    name: str
    lost: bool = False
    gate: Gate = field(default_factory=Gate)
    joined: list["Piece"] = field(default_factory=list)

    def claim(self) -> bool:
        return not self.lost

    def joined_by(self, other: "Piece") -> bool:
        if other.name != self.name:
            return False
        self.joined.append(other)
        return True


class Desk:
    """Lanes whose work is written down."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.behind: list[list[str]] = []
        self.lanes: Lanes[Piece] = Lanes(self.work)

    async def work(self, piece: Piece, behind: Sequence[Piece]) -> None:
        """Do one piece of work, and note in the end what waits behind it."""
        self.journal.add(f"{piece.name} begins")
        try:
            await piece.gate.passed()
        except asyncio.CancelledError:
            self.journal.add(f"{piece.name} is cancelled")
            raise
        self.behind.append([each.name for each in behind])
        self.journal.add(f"{piece.name} ends")


async def test_a_lane_works_strictly_in_order() -> None:
    desk = Desk()
    first, second, third = Piece("first"), Piece("second"), Piece("third")
    first.gate.shut()
    for piece in (first, second, third):
        desk.lanes.put("lane", piece)
    await first.gate.reached()
    await let_run()
    assert desk.journal.entries == ["first begins"]
    first.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == [
        f"{name} {what}" for name in ("first", "second", "third") for what in ("begins", "ends")
    ]


async def test_a_lane_does_not_wait_for_another() -> None:
    desk = Desk()
    stuck = Piece("stuck")
    stuck.gate.shut()
    desk.lanes.put("a", stuck)
    desk.lanes.put("b", Piece("free"))
    await desk.journal.until("free ends")
    assert "stuck ends" not in desk.journal.entries
    stuck.gate.open()
    assert await desk.lanes.drain(PATIENCE)


async def test_the_work_sees_what_waits_behind_it_even_what_came_after_it_began() -> None:
    desk = Desk()
    first = Piece("first")
    first.gate.shut()
    desk.lanes.put("lane", first)
    await first.gate.reached()
    for name in ("second", "third"):
        desk.lanes.put("lane", Piece(name))
    desk.lanes.put("another lane", Piece("elsewhere"))
    first.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.behind == [[], ["second", "third"], ["third"], []]


async def test_what_turns_out_to_be_what_runs_joins_it_and_is_not_done_again() -> None:
    desk = Desk()
    running, same, other = Piece("running"), Piece("running"), Piece("other")
    running.gate.shut()
    desk.lanes.put("lane", running)
    await running.gate.reached()
    for piece in (other, same):
        desk.lanes.put("lane", piece)
    running.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert running.joined == [same]
    assert desk.journal.entries == ["running begins", "running ends", "other begins", "other ends"]


@pytest.mark.parametrize("begun", [True, False], ids=["ended", "waiting"])
async def test_nothing_joins_what_has_ended_or_not_begun(begun: bool) -> None:
    desk = Desk()
    first, same = Piece("first"), Piece("first")
    desk.lanes.put("lane", first)
    if begun:
        assert await desk.lanes.drain(PATIENCE)
    desk.lanes.put("lane", same)
    assert await desk.lanes.drain(PATIENCE)
    assert first.joined == []
    assert desk.journal.entries == ["first begins", "first ends"] * 2


async def test_nothing_joins_what_runs_in_another_lane() -> None:
    desk = Desk()
    first, same = Piece("first"), Piece("first")
    first.gate.shut()
    desk.lanes.put("a", first)
    await first.gate.reached()
    desk.lanes.put("b", same)
    await desk.journal.until("first ends")
    first.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert first.joined == []


async def test_nothing_joins_work_that_was_cancelled() -> None:
    desk = Desk()
    first, same = Piece("first"), Piece("first")
    first.gate.shut()
    desk.lanes.put("lane", first)
    await first.gate.reached()
    assert not await desk.lanes.drain(0)
    desk.lanes.put("lane", same)
    assert await desk.lanes.drain(PATIENCE)
    assert first.joined == []
    assert desk.journal.entries[-1] == "first ends"


async def test_a_delivery_lost_while_it_waited_is_forgotten_not_started() -> None:
    desk = Desk()
    first, second, third = Piece("first"), Piece("second"), Piece("third")
    first.gate.shut()
    for piece in (first, second, third):
        desk.lanes.put("lane", piece)
    await first.gate.reached()
    second.lost = True
    first.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == ["first begins", "first ends", "third begins", "third ends"]


async def test_when_quiet_what_runs_ends_and_nothing_more_is_started() -> None:
    desk = Desk()
    running = Piece("running")
    running.gate.shut()
    desk.lanes.put("lane", running)
    desk.lanes.put("lane", Piece("behind it"))
    await running.gate.reached()
    desk.lanes.quiet()
    desk.lanes.put("lane", Piece("late in the lane"))
    desk.lanes.put("new lane", Piece("late elsewhere"))
    running.gate.open()
    with no_task_left():
        desk.lanes.put("another new lane", Piece("too late"))
        assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == ["running begins", "running ends"]


async def test_work_put_in_by_the_work_itself_is_done_behind_it() -> None:
    journal = Journal()

    async def work(piece: Piece, _: Sequence[Piece]) -> None:
        if piece.name == "first":
            lanes.put("lane", Piece("second"))
        journal.add(piece.name)

    lanes: Lanes[Piece] = Lanes(work)
    lanes.put("lane", Piece("first"))
    assert await lanes.drain(PATIENCE)
    assert journal.entries == ["first", "second"]


async def test_a_lane_that_was_empty_can_be_used_again() -> None:
    desk = Desk()
    for name in ("first", "second"):
        with no_task_left():
            desk.lanes.put("lane", Piece(name))
            assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries[-1] == "second ends"


async def test_draining_waits_for_every_lane_and_leaves_no_task() -> None:
    desk = Desk()
    pieces = [Piece(f"piece {number}") for number in range(5)]
    with no_task_left():
        for number, piece in enumerate(pieces):
            desk.lanes.put(number % 3, piece)
        assert await desk.lanes.drain(PATIENCE)
    assert sum(entry.endswith("ends") for entry in desk.journal.entries) == len(pieces)


async def test_beyond_the_grace_period_what_is_left_is_cancelled() -> None:
    desk = Desk()
    stuck = Piece("stuck")
    stuck.gate.shut()
    with no_task_left():
        desk.lanes.put("a", stuck)
        desk.lanes.put("b", Piece("free"))
        await stuck.gate.reached()
        desk.lanes.quiet()
        assert not await desk.lanes.drain(0.01)
    assert desk.journal.entries[-1] == "stuck is cancelled"
    assert "free ends" in desk.journal.entries


async def test_draining_what_is_idle_is_done_at_once() -> None:
    assert await Desk().lanes.drain(0)
