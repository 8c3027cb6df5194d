"""A virtual host with the users, rights and topology that ``aui-worker topology`` prints."""

import asyncio
import secrets
import subprocess
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
from broker import Broker
from harness import PARTITIONS, Bench
from programs import environment, finished

from worker.core.permissions import Bot, users


@dataclass(frozen=True)
class House:
    """A virtual host and its users.

    Attributes:
        vhost: its name.
        passwords: of each user.
    """

    broker: Broker
    vhost: str
    passwords: dict[str, str]

    def url(self, user: str, password: str | None = None) -> str:
        """Return the broker's URL for a user, by default with the right password."""
        where = urlsplit(self.broker.url)
        address = f"{where.hostname}:{where.port}/{self.vhost}"
        return f"amqp://{user}:{password or self.passwords[user]}@{address}"

    @asynccontextmanager
    async def bench(self, user: str, network: str) -> AsyncIterator[Bench]:
        """Lend a producer's and subscriber's side of the broker, as a user."""
        async with await aio_pika.connect(self.url(user)) as connection:
            yield Bench(connection, await connection.channel(on_return_raises=True), network)

    def free_of_secrets(self, text: str) -> bool:
        """Tell whether no password is in a text."""
        return not any(password in text for password in self.passwords.values())


@asynccontextmanager
async def house(
    broker: Broker,
    networks: Sequence[str],
    bots: Sequence[str],
    passwords: Path,
    locked: Sequence[str] = (),
) -> AsyncIterator[House]:
    """Build one from the definitions that the command prints, and tear it down in the end.

    Args:
        broker: where.
        networks: those of the topology and of the users.
        bots: as the command is told them.
        passwords: an empty directory for the passwords that are made up.
        locked: users that get none.
    """
    vhost = f"least-{uuid.uuid4().hex[:8]}"
    names = [user.name for user in users(networks, [Bot.read(bot) for bot in bots])]
    made_up = {name: secrets.token_hex(16) for name in names if name not in locked}
    for name, password in made_up.items():
        (passwords / name).write_text(f"{password}\n")
    words = ["--users", "--vhost", vhost, "--passwords", str(passwords)]
    words += [word for network in networks for word in ("--network", network)]
    words += [word for bot in bots for word in ("--bot", bot)]
    env = environment(broker.url, WORKER_PARTITIONS=str(PARTITIONS))
    code, definitions, errors = await finished("topology", "--definitions", *words, env=env)
    assert (code, errors) == (0, "")
    assert not any(password in definitions for password in made_up.values())
    try:
        await asyncio.to_thread(_take_in, broker, definitions)
        yield House(broker, vhost, made_up)
    finally:
        for command in (("delete_vhost", vhost), *(("delete_user", name) for name in names)):
            await asyncio.to_thread(broker.ctl, *command)


def _take_in(broker: Broker, definitions: str) -> None:
    """Have a broker import definitions out of a file: in its container, where it lives in one."""
    name = f"/tmp/definitions-{uuid.uuid4().hex}.json"  # noqa: S108  the name is nobody else's
    *into, _ = broker.control
    into = into if into[:2] == ["docker", "exec"] else []
    with_input = [*into[:2], "--interactive", *into[2:]] if into else []
    subprocess.run(
        [*with_input, "tee", name],
        input=definitions,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    broker.ctl("import_definitions", name)
    subprocess.run([*into, "rm", name], check=True)
