"""A right that is taken away at run time costs time, not answers."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from broker import Broker
from harness import PATIENCE, Bench, settings, working

from worker.amqp.outlet import REFUSALS
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ALL = ".*"
REFUSED = "access to exchange 'aui.replies'"


@pytest.fixture
async def user(broker: Broker) -> AsyncIterator[str]:
    """Lend a user of the broker's with every right, and with its name for a password."""
    name = f"u{uuid.uuid4().hex[:8]}"
    broker.ctl("add_user", name, name)
    broker.ctl("set_permissions", name, ALL, ALL, ALL)
    yield name
    broker.ctl("delete_user", name)


async def test_an_answer_waits_until_it_may_be_published_again(
    at: Bench, broker: Broker, sandbox: Sandbox, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It reaches the hub, not ``aui.unclaimed``: it is no fault of the answer's."""
    task = sandbox.create_task("user")
    where = urlsplit(broker.url)
    url = f"amqp://{user}:{user}@{where.hostname}:{where.port}{where.path}"
    async with working(settings(url, sandbox, at.network)):
        hub = await at.hub()
        await hub.ended(await at.say(task.id, "a microwave"))
        broker.ctl("set_permissions", user, ALL, r"^(?!aui\.replies$).*$", ALL)
        # A channel remembers what it was allowed; a new one asks.
        broker.ctl("close_all_user_connections", user, "its rights have changed")
        job = await at.say(task.id, "!final-only | and the cheapest one?")
        async with asyncio.timeout(PATIENCE):
            while caplog.text.count(REFUSED) < 2 * REFUSALS:  # noqa: ASYNC110  only the log tells
                await asyncio.sleep(0.05)
        broker.ctl("set_permissions", user, ALL, ALL, ALL)
        final = await hub.ended(job)

    assert final.type == "message.completed"
    assert len(sandbox.store.user_messages(task.id)) == 2
