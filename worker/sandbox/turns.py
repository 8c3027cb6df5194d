"""Plays one user message to its end, whether or not anybody is still listening."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from worker.sandbox.assistant import Answer, answer
from worker.sandbox.dialect import TurnContext
from worker.sandbox.directive import BadDirective, Directive
from worker.sandbox.faults import Faults
from worker.sandbox.refusal import Failure, FieldError, Refused, invalid, no_such_task
from worker.sandbox.script import (
    Close,
    Drop,
    Fail,
    Finish,
    Garbage,
    GiveUp,
    Hush,
    Pause,
    Step,
    Unknown,
    Update,
    script,
)
from worker.sandbox.store import Store, Task, TaskMessage
from worker.sandbox.validation import MessageRequest


class Outlet(Protocol):
    """Where a turn is heard. No method raises when nobody is there any more."""

    async def update(self, text: str) -> None:
        """The cumulative text so far."""

    async def finish(self, message: TaskMessage) -> None:
        """The whole answer."""

    async def fail(self, failure: Failure, code: int) -> None:
        """An error payload, then a close with `code`."""

    async def close(self, code: int) -> None:
        """A close without a word."""

    async def drop(self, *, reset: bool) -> None:
        """A lost connection: end of stream, or a reset."""

    async def garbage(self) -> None:
        """Something that is not JSON."""

    async def unknown(self) -> None:
        """An event no document mentions."""

    async def hush(self) -> None:
        """Nothing more in this turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message, already in the history, and everything its answer will be."""

    task: Task
    question: TaskMessage
    directive: Directive
    answer: Answer
    context: TurnContext


class Turns:
    """Opens and plays turns. `running` counts those in play."""

    def __init__(self, store: Store, word_delay: float, faults: Faults) -> None:
        self.running = 0
        self._store = store
        self._word_delay = word_delay
        self._faults = faults

    def open(self, request: MessageRequest) -> Turn:
        """Records the message and prepares its answer.

        Refused (404) for a task there is not and (422) for a directive that makes no sense;
        then nothing is recorded.
        """
        task = self._store.tasks.get(request.task_id)
        if task is None:
            raise Refused(no_such_task(request.task_id))
        directive = self._directive(request, task)
        question = self._store.add_user_message(task, request.body, directive.history_lag)
        context = TurnContext(
            task_id=task.id,
            message_id=self._store.new_id(),
            interaction_id=self._store.new_id(),
            timestamp=self._store.timestamp(),
        )
        said = answer(directive.text, task.previous)
        return Turn(task, question, directive, said, context)

    async def play(self, turn: Turn, outlet: Outlet) -> None:
        """Performs every step; an answered turn is in the history before the outlet hears it."""
        pace = _Pace()
        self.running += 1
        try:
            for step in self._steps(turn):
                match step:
                    case Update():
                        await pace.wait(step.delay)
                        await outlet.update(step.text)
                    case Finish():
                        await outlet.finish(self._record(turn, step.text))
                    case GiveUp():
                        self._store.give_up(turn.task, turn.question)
                    case Pause():
                        await asyncio.sleep(step.seconds)
                    case _:
                        await _disturb(step, outlet)
        finally:
            self.running -= 1

    def _directive(self, request: MessageRequest, task: Task) -> Directive:
        try:
            directive = self._faults.directive(request.text)
        except BadDirective as error:
            wrong = FieldError(("body", "text"), str(error), "value_error.directive")
            raise Refused(invalid((wrong,))) from None
        if directive.times is not None and _said_before(request.text, task) >= directive.times:
            return Directive("", directive.text)
        return directive

    def _steps(self, turn: Turn) -> Iterator[Step]:
        if (fault := self._faults.take("answer")) is not None:
            return iter((GiveUp(), Close(fault.code)))
        return script(turn.directive, turn.answer.text, self._word_delay)

    def _record(self, turn: Turn, text: str) -> TaskMessage:
        lag = turn.directive.history_lag
        said = replace(turn.answer, text=text)
        return self._store.add_answer(
            turn.task, turn.context.message_id, said, lag, answers=turn.question.id
        )


def _said_before(text: str, task: Task) -> int:
    # Counted in the history, which a journal brings back after a restart.
    return sum(line.sender == "user" and line.text == text for line in task.messages)


class _Pace:
    """Keeps steps `delay` seconds apart on average; it never hurries by more than one step."""

    def __init__(self) -> None:
        self._due = 0.0

    async def wait(self, delay: float) -> None:
        now = time.monotonic()
        self._due = max(self._due + delay, now)
        await asyncio.sleep(self._due - now)


async def _disturb(step: Fail | Close | Drop | Garbage | Unknown | Hush, outlet: Outlet) -> None:
    match step:
        case Fail():
            await outlet.fail(step.failure, step.code)
        case Close():
            await outlet.close(step.code)
        case Drop():
            await outlet.drop(reset=step.reset)
        case Garbage():
            await outlet.garbage()
        case Unknown():
            await outlet.unknown()
        case Hush():
            await outlet.hush()
        case _:
            assert_never(step)
