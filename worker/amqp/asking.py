"""Asks the broker for something over a channel of its own, which a refusal closes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from aiormq.abc import AbstractChannel

from worker.amqp.guard import guarded
from worker.amqp.session import Session
from worker.core.errors import LinkLost

AT_ONCE = 8
"""Channels: a broker that is far away takes as long for one as for all of them."""

Ask = Callable[[AbstractChannel], Awaitable[object]]


async def refusals(session: Session, asks: Sequence[Ask]) -> list[LinkLost | None]:
    """Ask for several things; return why each was refused, None for what was granted.

    Raises:
        LinkLost: the connection is gone.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def refusal(ask: Ask) -> LinkLost | None:
        async with places:
            try:
                channel = await session.channel(confirms=True)
                await channel.lost.ends(guarded(ask(channel.raw)))
            except LinkLost as error:
                return error
            await channel.close()
            return None

    answers = await asyncio.gather(*map(refusal, asks))
    for answer in answers:
        if answer is not None and answer.code is None:
            raise answer
    return answers
