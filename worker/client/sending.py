"""Sends jobs until the broker has confirmed them, or says what is known where it has not."""

import asyncio
from dataclasses import dataclass, replace

from worker.amqp.alone import Alone
from worker.amqp.backoff import Backoff
from worker.amqp.guard import ACCESS_REFUSED, NOT_FOUND
from worker.amqp.messages import Outgoing, copy_message
from worker.amqp.outlet import REFUSALS, Outlet, Placed
from worker.client.errors import NotAccepted
from worker.client.requests import Request
from worker.client.tracing import publishing
from worker.core.errors import LinkLost


@dataclass(slots=True)
class _Known:
    """What is known of a job that is being sent."""

    maybe_queued: bool = False
    why: str = "the broker is not reached"


class Sending:
    """Publishes jobs; several with one id take turns, as the client library needs it."""

    def __init__(self) -> None:
        self._alone = Alone()

    async def send(self, outlet: Outlet, request: Request, within: float) -> None:
        """Publish a job, again after each loss: workers answer a job id once.

        Args:
            outlet: what to publish over.
            request: the job.
            within: seconds for all of it.

        Raises:
            NotAccepted: it was not confirmed.
        """
        known = _Known()
        with publishing(request) as trace:
            properties = request.properties
            properties = replace(properties, headers={**properties.headers, **trace})
            message = copy_message(request.body, properties)
            message.expiration = _seconds(properties.expiration)
            try:
                async with asyncio.timeout(within) as limit, self._alone.by(request.job_id):
                    await self._publish(outlet, request, message, known)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise NotAccepted(
                    f"not confirmed within {within:g} s: {known.why}",
                    request.job_id,
                    maybe_queued=known.maybe_queued,
                ) from None

    async def _publish(
        self, outlet: Outlet, request: Request, message: Outgoing, known: _Known
    ) -> None:
        refusals, backoff = 0, Backoff()
        while True:
            channel = await outlet.ready()
            before, known.maybe_queued = known.maybe_queued, True
            try:
                placed = await outlet.publish_over(
                    channel, request.exchange, request.key, message, mandatory=True
                )
            except LinkLost as error:
                known.why = str(error)
                if refusal := _refusal(error, request):
                    raise NotAccepted(refusal, request.job_id, maybe_queued=before) from None
            else:
                known.maybe_queued, known.why = before, "a queue is full"
                refusals += 1
                if placed is Placed.KEPT:
                    return
                if placed is Placed.UNROUTED or refusals == REFUSALS:
                    raise _not_placed(placed, request, maybe_queued=before)
            await asyncio.sleep(backoff.next())


def _not_placed(placed: Placed, request: Request, *, maybe_queued: bool) -> NotAccepted:
    if placed is Placed.UNROUTED:
        why = f"no queue takes jobs of network {request.network!r}: its topology has a hole"
    else:
        why = f"the broker refused it {REFUSALS} times: a queue of {request.exchange} is full"
    return NotAccepted(why, request.job_id, maybe_queued=maybe_queued)


def _refusal(error: LinkLost, request: Request) -> str | None:
    """Say why a publish closed the channel, if it was this one: it ends all the others, too."""
    if f"'{request.exchange}'" not in str(error):
        return None
    if error.code == NOT_FOUND:
        return (
            f"no exchange {request.exchange}: no worker has served network {request.network!r} here"
        )
    if error.code == ACCESS_REFUSED:
        return f"this user may not write to {request.exchange}"
    return None


def _seconds(expiration: str | None) -> float | None:
    return None if expiration is None else int(expiration) / 1000
