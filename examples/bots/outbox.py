"""The way out: an answer is acked once the provider has taken it, so none is lost.

After a crash between the two it is sent once more: no provider of text messages has an
idempotency key for them.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any
from weakref import WeakValueDictionary

import httpx
from cachetools import LRUCache
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.stop import stop_after_delay
from tenacity.wait import wait_exponential_jitter

from worker.client import Failed, Final, Reply

PATIENCE = 900.0
"""Seconds to try for: RabbitMQ takes a message back that was not acked for 30 minutes."""
AGAIN_AFTER = 30.0
GRACE = 10.0
PREFETCH = 256
"""Answers on their way at a time, those to numbers that have to wait included."""
REMEMBERED = 10_000
NOT_THE_MESSAGE = (401, 403, 408, 425, 429)
"""What says nothing against the message: a token that has run out is an operator's to renew."""
SORRY = {
    "rephrase": "Sorry, I cannot answer that. Could you put it differently?",
    "try_later": "Sorry, I cannot answer right now. Please try again in a few minutes.",
    "operator": "Sorry, something is wrong on our side, and we are told. Please try again later.",
}
_pause = wait_exponential_jitter(multiplier=0.5, max=60, jitter=0.5)
log = logging.getLogger(__name__)

Send = Callable[[str, Final | Failed], Awaitable[None]]
"""Sends an answer to a user; raises Refused or Unavailable."""


class Refused(Exception):
    """The provider will not take this message, however often it is asked."""


class Unavailable(Exception):
    """The provider cannot take messages now.

    Args:
        why: one line for people.
        pause: the seconds it asks for, or 0.
    """

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


async def post(
    http: httpx.AsyncClient, url: str, *, temporary: Collection[int] = (), **request: Any
) -> None:
    """Post one message, again and again with growing pauses until the provider takes it.

    Args:
        http: the client, with the provider's credentials.
        url: where to.
        temporary: the provider's own error codes that will pass, whatever the status.
        request: what httpx posts.

    Raises:
        Refused: it will never be taken.
        Unavailable: it was not taken for 15 minutes.
    """
    trying = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(PATIENCE),
        wait=_wait,
        reraise=True,
    )
    async for attempt in trying:
        with attempt:
            try:
                _check(await http.post(url, **request), temporary)
            except httpx.TransportError as error:
                raise Unavailable(type(error).__name__) from error


def _check(response: httpx.Response, temporary: Collection[int]) -> None:
    if response.is_success:
        return
    found = re.search(r'"code":\s*(\d+)', response.text)
    code = int(found[1]) if found else 0
    why = f"status {response.status_code}, error {code}"
    if response.is_server_error or response.status_code in NOT_THE_MESSAGE or code in temporary:
        pause = response.headers.get("Retry-After", "")
        raise Unavailable(why, float(pause) if pause.isdecimal() else 0.0)
    raise Refused(why)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    log.warning("the provider takes no messages: %s", error)
    return max(_pause(state), error.pause if isinstance(error, Unavailable) else 0.0)


class Outbox:
    """Sends answers: those of one user one after another, and nobody waits for another's.

    What is repeated is sent once: the latest 10,000 are remembered. An answer after an apology is
    no repeat: the job was replayed from the dead letters.

    Args:
        send: hands an answer to the provider.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sent: LRUCache[tuple[str, str], bool] = LRUCache(REMEMBERED)

    async def run(self, replies: AsyncIterator[Reply]) -> None:
        """Send until cancelled; what is on its way then has 10 seconds to get there."""
        running: set[asyncio.Task[None]] = set()
        try:
            async for reply in replies:
                sending = asyncio.create_task(self._settle(reply))
                running.add(sending)
                sending.add_done_callback(running.discard)
        finally:
            if running:
                await asyncio.wait(running, timeout=GRACE)
            for sending in running:
                sending.cancel()

    async def _settle(self, reply: Reply) -> None:
        if not isinstance(reply, Final | Failed) or reply.user_id is None:
            log.error("job %s is not of a user: nobody to send its answer to", reply.job_id)
            await reply.ack()
            return
        user, job = reply.user_id, (reply.user_id, reply.job_id)
        async with self._lanes.setdefault(user, asyncio.Lock()):
            try:
                if not _repeats(reply, self._sent.get(job)):
                    await self._send(user, reply)
            except Refused as error:
                log.error("the answer to job %s is refused: %s", reply.job_id, error)  # noqa: TRY400
            except Exception:
                log.exception("the answer to job %s was not sent", reply.job_id)
                await reply.give_back(AGAIN_AFTER)
                return
            self._sent[job] = isinstance(reply, Final)
            await reply.ack()


def _repeats(reply: Final | Failed, answered: bool | None) -> bool:
    """Tell whether a user needs no more, given what was sent: nothing, an apology, an answer."""
    return answered is True or (answered is False and isinstance(reply, Failed))
