"""A supervised plain connection: lost links end in one place, and come back from there.

``connect_robust`` hides the moment between "link lost" and "new deliveries" and replays a
topology of its own; here a loss is an event with a name. Whoever works over a link takes a
:class:`Session`, works until it is lost, and takes the next one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import (
    AuthenticationError,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from yarl import URL

from worker.amqp.backoff import Backoff
from worker.amqp.guard import guarded
from worker.amqp.parting import parted
from worker.amqp.session import Session
from worker.amqp.tolerant import tolerate_odd_properties
from worker.core.errors import ConfigurationError, LinkLost

CONNECT_TIMEOUT = 15.0
REPAIR_PAUSE = 3.0
HEARTBEAT = 10
"""Seconds; a dead peer is noticed after about two. The library's default is 60."""
log = logging.getLogger(__name__)


class Link:
    """Keeps one connection up, for as long as :meth:`run` runs.

    Args:
        purpose: what it is for, shown in logs and as the connection's name at the broker.
        url: the broker's, with credentials: never shown.
        prepare: called with each new session before anybody may use it.
        repair: called with a session on which something that should stand was not found.
        sleep: waits between two tries.
        fenced: give it up as soon as the broker falls silent, before the broker gives us up: for
            a connection over which jobs come, and nothing is published (a broker that is short of
            memory is silent to publishers).
    """

    def __init__(
        self,
        purpose: str,
        url: str,
        prepare: Callable[[Session], Awaitable[None]] | None = None,
        repair: Callable[[Session], Awaitable[None]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        fenced: bool = False,
    ) -> None:
        self.purpose = purpose
        self._url = url
        self._prepare = prepare
        self._repair = repair
        self._repairing = asyncio.Lock()
        self._repaired = float("-inf")
        self._sleep = sleep
        self._fenced = fenced
        self._session: Session | None = None
        self._up = asyncio.Event()
        self._was_up = False

    async def run(self) -> None:
        """Connect, and connect again whenever the connection is lost.

        Raises:
            ConfigurationError: the broker refused the credentials or the virtual host, or has a
                topology that the settings contradict, before the link was ever up.
        """
        tolerate_odd_properties()
        backoff = Backoff()
        try:
            while True:
                try:
                    session = await self._connect()
                except LinkLost as error:
                    wait = backoff.next()
                    log.warning("%s link: %s; next try in %.1f s", self.purpose, error, wait)
                    await self._sleep(wait)
                    continue
                backoff.reset()
                await self._until_lost(session)
                log.warning("%s link lost: %s", self.purpose, session.lost.why)
                await session.close()
        finally:
            if self._session is not None:
                await self._session.close()

    @property
    def up(self) -> bool:
        """The connection is there, as far as is known, and prepared."""
        return self._up.is_set()

    @property
    def blocked(self) -> bool:
        """It is up, but the broker has said that it takes no publishes over it for now."""
        return self.up and self._session is not None and self._session.blocked

    async def session(self) -> Session:
        """Return the current session; wait for the link to be up if it is not."""
        await self._up.wait()
        assert self._session is not None  # the event says so
        return self._session

    async def repair(self) -> None:
        """Set up what was not found, at most once in a few seconds; a failure is logged."""
        session = await self.session()
        async with self._repairing:
            now = asyncio.get_running_loop().time()
            if self._repair is None or now - self._repaired < REPAIR_PAUSE:
                return
            self._repaired = now
            log.error("%s link: the topology has a hole; setting it up again", self.purpose)
            try:
                await self._repair(session)
            except (ConfigurationError, LinkLost) as error:
                log.error("%s link: not set up: %s", self.purpose, error)  # noqa: TRY400  no bug

    async def _until_lost(self, session: Session) -> None:
        pulse = asyncio.create_task(session.feel_pulse(self._heartbeat)) if self._fenced else None
        try:
            await session.lost.wait()
        finally:
            if pulse is not None:
                pulse.cancel()
                await asyncio.gather(pulse, return_exceptions=True)

    @property
    def _heartbeat(self) -> float:
        """The interval of the heartbeats; that of the pulse also where there are none."""
        return float(URL(self._url).query.get("heartbeat", HEARTBEAT)) or HEARTBEAT

    async def _connect(self) -> Session:
        connection = await self._open()
        session = Session(connection, self._up.clear)
        self._session = session
        try:
            if self._prepare is not None:
                await self._prepare(session)
        except ConfigurationError as error:
            await session.close()
            if not self._was_up:
                raise
            raise LinkLost(str(error)) from None
        except LinkLost:
            await session.close()
            raise
        if session.lost:
            raise LinkLost(session.lost.why or "lost at once")
        self._was_up = True
        self._up.set()
        log.info("%s link up: %s", self.purpose, shown_url(self._url))
        return session

    async def _open(self) -> AbstractConnection:
        url = URL(self._url)
        if "heartbeat" not in url.query:
            url = url.update_query(heartbeat=HEARTBEAT)
        where = shown_url(self._url)
        connecting = asyncio.ensure_future(
            aio_pika.connect(
                url,
                timeout=CONNECT_TIMEOUT,
                client_properties={"connection_name": f"aui-worker {self.purpose}"},
            )
        )
        try:
            return await guarded(connecting)
        except asyncio.CancelledError:
            if connecting.done() and not connecting.cancelled() and not connecting.exception():
                await connecting.result().close()
            raise
        except LinkLost as error:
            refusal = _refusal(error.__cause__)
            if refusal is None:
                raise LinkLost(f"no broker at {where}: {error}", error.code) from error
            message = f"AMQP_URL: {where} {refusal}"
            if self._was_up:
                raise LinkLost(message) from None
            raise ConfigurationError(message) from None


@asynccontextmanager
async def linked(purpose: str, url: str) -> AsyncIterator[Link]:
    """Keep a link up for the length of the context, which is entered once it is.

    Raises:
        ConfigurationError: the broker refused the credentials or the virtual host.
    """
    link = Link(purpose, url)
    life = asyncio.create_task(link.run())
    up = asyncio.create_task(link.session())
    try:
        await asyncio.wait({life, up}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
        yield link
    finally:
        await parted(life, up)


def shown_url(url: str) -> str:
    """Return a broker URL without its password and its query."""
    parsed = URL(url)
    shown = URL.build(
        scheme=parsed.scheme,
        user=parsed.user,
        host=parsed.host or "localhost",
        port=parsed.port or (5671 if parsed.scheme == "amqps" else 5672),
    )
    return f"{shown}{parsed.raw_path if parsed.raw_path != '/' else '/'}"


def _refusal(error: BaseException | None) -> str | None:
    """Say what is wrong with the settings, if that is why no connection could be made."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return "refused the user name or password"
    # RabbitMQ answers Connection.Open with a Close, whose text the client library leaves out.
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
        return "refused the virtual host: it is not there, or not for this user"
    return None
