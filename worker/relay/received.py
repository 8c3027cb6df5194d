"""A delivery on its way through the worker: decoded, and perhaps handed over more than once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from worker.core.errors import InvalidJob
from worker.core.history import same_text
from worker.core.job import Address, Job, Request
from worker.core.operation import Operation, operation_of
from worker.core.verdict import Verdict
from worker.relay.ports import Clock, Delivery
from worker.telemetry.logs import FIELDS

ABANDONED_AFTER = 60.0
"""Seconds that work goes on after its delivery was lost: the broker may be back by then."""


@dataclass(slots=True, eq=False)
class Received:
    """A delivery, decoded: a job, or why it gets none of the agent's time.

    Attributes:
        delivery: what is to be settled; a redelivery takes its place while the work runs on.
        address: who is to be told, as far as it is known.
        base: attempts made before, under earlier deliveries and copies.
        job: the job, or None.
        request: the request about tasks, or None.
        problem: the verdict on what is no job, or was given up by the broker.
        on_hub: replies go to the hub; those about what is no job only go to its ``reply_to``.
        at: when it was received, in monotonic seconds.
        expires_at: when the job expires, in seconds since 1970, if it does.
        carried: earlier jobs with the same text, answered but unsettled until this one is: after a
            crash they are told apart only together.
    """

    delivery: Delivery
    address: Address
    base: int
    job: Job | None = None
    request: Request | None = None
    problem: Verdict | None = None
    on_hub: bool = True
    at: float = 0.0
    expires_at: float | None = None
    carried: Sequence["Received"] = field(default=(), repr=False)
    _patience: float = field(default=ABANDONED_AFTER, repr=False)
    _scope: asyncio.Timeout | None = field(default=None, repr=False)
    _unwatch: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def about(self) -> dict[str, dict[str, object]]:
        """What the log says of it in any case: the ``extra`` of a line."""
        said: dict[str, object] = {
            "job": self.address.job_id,
            "task": self.address.task_id,
            "network": self.address.network,
            "channel": self.address.channel,
        }
        if self.operation not in (None, Operation.SEND):
            said["operation"] = str(self.operation)
        return {FIELDS: said}

    @property
    def asked(self) -> Job | Request | None:
        """What it asks for, if it is to be done."""
        return self.job or self.request

    @property
    def operation(self) -> Operation | None:
        """What it asks for, also if it is not to be done; None if it says nothing known."""
        try:
            return operation_of(self.delivery.envelope.properties)
        except InvalidJob:
            return None

    def expired(self, clock: Clock) -> bool:
        """Its producer wants no answer any more."""
        return self.expires_at is not None and clock.utc().timestamp() >= self.expires_at

    def claim(self) -> bool:
        """Start working on it; what cannot be started goes back, with all that it carries."""
        if self.delivery.claim():
            return True
        for one in self.carried:
            one.delivery.give_back()
        return False

    async def ack(self) -> None:
        """Settle it as done, after what it carries, of that the last first.

        Whenever the worker dies meanwhile, what comes back is the first few of the equal texts and
        the last one: the history is shared out from its beginning, and its end is the last one's.
        """
        for one in (*reversed(self.carried), self):
            await one.delivery.ack()

    def give_back(self) -> None:
        """Settle it as not done, and what it carries."""
        for one in (self, *self.carried):
            one.delivery.give_back()

    async def ack_with(self, behind: Sequence["Received"]) -> None:
        """Settle it as done; together with the job that follows, where only that tells them apart.

        Two equal texts in a row ("yes", "yes") look alike in the task's history. Should the worker
        die while it asks the second, both come back, and the history is shared out in order.
        """
        following = next((one for one in behind if not one.delivery.lost), None)
        if following is None or not self.says_the_same(following):
            await self.ack()
        else:
            following.carried = [*self.carried, self]

    def says_the_same(self, other: "Received") -> bool:
        """Tell whether both are jobs with the same text."""
        mine, its = self.job, other.job
        return mine is not None and its is not None and same_text(mine.text, its.text)

    def joined_by(self, other: "Received") -> bool:
        """Go on under a redelivery of the same job, or of one it carries, if the other is that."""
        scope = self._scope
        if scope is None or scope.expired():
            return False
        lost = (one for one in (*self.carried, self) if one.delivery.lost)
        mine = next((one for one in lost if _same_job(one, other)), None)
        if mine is None or not other.delivery.claim():
            return False
        mine.delivery = other.delivery
        if mine is self:
            scope.reschedule(None)
            self._watch()
        return True

    def worked_on(self, patience: float = ABANDONED_AFTER) -> "Work":
        """Work on it for the length of a context, which ends early when it is abandoned.

        That is when its delivery was lost and no redelivery came for ``patience`` seconds: some
        other worker has it. What it carried, and came again, goes back then.
        """
        return Work(self, patience)

    def begin(self, scope: asyncio.Timeout, patience: float) -> None:
        """Work on it from now on, within that scope."""
        self._scope, self._patience = scope, patience
        self._watch()

    def end(self) -> None:
        """Work on it no more."""
        self._scope = None
        self._unwatch()

    def _watch(self) -> None:
        self._unwatch()
        self._unwatch = self.delivery.when_lost(self._wait_for_another)

    def _wait_for_another(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time() + self._patience)


class Work:
    """Work on a delivery: a context.

    Attributes:
        abandoned: it was cut short, for its delivery was lost.
    """

    __slots__ = ("_patience", "_received", "_scope", "abandoned")

    def __init__(self, received: Received, patience: float) -> None:
        self._received = received
        self._patience = patience
        self._scope = asyncio.timeout(None)
        self.abandoned = False

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._received.begin(self._scope, self._patience)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._received.end()
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError:
            self.abandoned = True
            for one in self._received.carried:
                one.delivery.give_back()
        return self.abandoned


def _same_job(one: Received, two: Received) -> bool:
    """Tell whether the second is a redelivery of the first: by its id, or by all of the message."""
    first, again = one.delivery.envelope, two.delivery.envelope
    if first.properties.message_id or again.properties.message_id:
        to, to_again = one.address, two.address
        return (to.job_id, to.task_id, to.user_id) == (
            to_again.job_id,
            to_again.task_id,
            to_again.user_id,
        )
    sent = (first.properties.timestamp, first.body)
    return again.redelivered and sent == (again.properties.timestamp, again.body)
