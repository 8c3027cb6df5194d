"""What a bot's crash, a broker out of reach or a slow provider may do: repeat once, never lose."""

import signal
from collections.abc import AsyncIterator

import pytest
from fault_proxy import FaultProxy
from harness import Bench

from examples.bots.fake_provider import served
from examples.bots.fake_twilio import FakeTwilio
from tests.bots.living import Bot, living, sms_settings
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def twilio() -> FakeTwilio:
    return FakeTwilio()


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(amqp_url) as running:
        yield running


@pytest.fixture
async def bot(proxy: FaultProxy, network: str, twilio: FakeTwilio, at: Bench) -> AsyncIterator[Bot]:
    await at.channel.queue_delete(f"sub.sms-bot.{network}")  # with what the last one did not ack
    async with served(twilio.app) as api:
        env = sms_settings(proxy.url, network, api, SMS_SEGMENTS="9")
        async with living("bots.sms", env) as running:
            yield running


async def left(at: Bench) -> int:
    """Return how many replies wait in the bot's queue."""
    queue = await at.channel.declare_queue(f"sub.sms-bot.{at.network}", passive=True)
    return queue.declaration_result.message_count or 0


async def test_killed_between_acceptance_and_ack_the_answer_is_repeated_once(
    bot: Bot, twilio: FakeTwilio, at: Bench
) -> None:
    twilio.answering.clear()  # it takes the text, and does not get to say so
    await twilio.receive("+15005550011", "a fridge", bot.webhook)
    await twilio.until(lambda taken: len(taken) == 1)

    await bot.kill()
    twilio.answering.set()
    await bot.start()
    await twilio.until(lambda taken: len(taken) == 2)

    first, second = twilio.taken
    assert first == second
    assert await bot.terminate() == 0
    assert await left(at) == 0
    assert len(twilio.taken) == 2


async def test_killed_while_the_agent_thinks_the_answer_comes_once(
    bot: Bot, twilio: FakeTwilio, at: Bench
) -> None:
    """The answer waits in the bot's queue."""
    hub = await at.hub(f"{at.network}.sms.*.final")
    await twilio.receive("+15005550012", "!stall seconds=1 | a fridge", bot.webhook, sid="SM12")

    await bot.kill()
    await hub.ended("SM12")
    assert not twilio.taken
    await bot.start()
    await twilio.until(lambda taken: len(taken) == 1)

    assert await bot.terminate() == 0
    assert await left(at) == 0
    assert len(twilio.taken) == 1


async def test_a_stopped_bot_finishes_what_is_on_its_way(
    bot: Bot, twilio: FakeTwilio, at: Bench
) -> None:
    """A deployment repeats nothing."""
    twilio.answering.clear()
    await twilio.receive("+15005550013", "a fridge", bot.webhook)
    await twilio.until(lambda taken: len(taken) == 1)

    bot.signal(signal.SIGTERM)
    await bot.says("Finished server process")
    assert bot.alive
    twilio.answering.set()

    assert await bot.ended() == 0
    assert await left(at) == 0


async def test_a_repeated_webhook_after_a_restart_is_not_asked_twice(
    bot: Bot, twilio: FakeTwilio, sandbox: Sandbox
) -> None:
    """The bot has forgotten the id, the worker has not."""
    phone = "+15005550014"
    await twilio.receive(phone, "a fridge", bot.webhook, sid="SM14")
    await twilio.until(lambda taken: len(taken) == 1)
    await bot.terminate()
    await bot.start()

    await twilio.receive(phone, "a fridge", bot.webhook, sid="SM14")
    await twilio.receive(phone, "thanks", bot.webhook, sid="SM15")
    await twilio.until(lambda taken: any("welcome" in text.body for text in taken))

    (task,) = sandbox.store.tasks_of(phone)
    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["a fridge", "thanks"]


async def test_without_a_broker_twilio_is_told_to_try_again(
    bot: Bot, proxy: FaultProxy, twilio: FakeTwilio, sandbox: Sandbox
) -> None:
    """And when it does, the message is asked and answered once."""
    phone = "+15005550015"
    proxy.blackhole()

    refused = await twilio.receive(phone, "a fridge", bot.webhook, sid="SM16")
    proxy.heal()
    taken = await twilio.receive(phone, "a fridge", bot.webhook, sid="SM16")
    while taken.status_code == 503:  # it may still be connecting
        taken = await twilio.receive(phone, "a fridge", bot.webhook, sid="SM16")
    await twilio.receive(phone, "thanks", bot.webhook, sid="SM17")
    await twilio.until(lambda taken: any("welcome" in text.body for text in taken))

    assert (refused.status_code, taken.status_code) == (503, 200)
    (task,) = sandbox.store.tasks_of(phone)
    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["a fridge", "thanks"]
    assert len(twilio.taken) == 2


async def test_answers_reach_a_bot_whose_connection_was_cut(
    bot: Bot, proxy: FaultProxy, twilio: FakeTwilio
) -> None:
    await twilio.receive("+15005550016", "!stall seconds=1 | a fridge", bot.webhook)
    proxy.cut()
    proxy.heal()

    await twilio.until(lambda taken: len(taken) == 1)


async def test_one_slow_number_holds_up_no_other(bot: Bot, twilio: FakeTwilio) -> None:
    twilio.answering.clear()
    for n in range(5):
        await twilio.receive(f"+1500555002{n}", "a fridge", bot.webhook)

    await twilio.until(lambda taken: len({text.to for text in taken}) == 5)

    twilio.answering.set()
