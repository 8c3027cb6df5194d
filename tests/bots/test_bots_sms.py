"""The SMS bot, from Twilio's webhook to Twilio's Messages API, over real HTTP and RabbitMQ."""

import re
from collections.abc import AsyncIterator

import pytest
from harness import Bench

from examples.bots.fake_provider import Trouble, served
from examples.bots.fake_twilio import FakeTwilio, Text
from examples.bots.outbox import SORRY
from examples.bots.segments import segments
from tests.bots.living import Bot, living, sms_settings
from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def twilio() -> FakeTwilio:
    return FakeTwilio()


@pytest.fixture(scope="module")
async def api(twilio: FakeTwilio) -> AsyncIterator[str]:
    async with served(twilio.app) as url:
        yield url


@pytest.fixture(scope="module")
async def bot(amqp_url: str, network: str, api: str) -> AsyncIterator[Bot]:
    async with living("bots.sms", sms_settings(amqp_url, network, api)) as running:
        yield running


def texts_to(phone: str, taken: list[Text]) -> list[str]:
    return [text.body for text in taken if text.to == phone]


def whole(texts: list[str]) -> str:
    """Put numbered messages together again; "" while some are missing."""
    if len(texts) == 1 and not texts[0].startswith("("):
        return texts[0]
    parts = [re.fullmatch(r"\((\d+)/(\d+)\) (.*)", text, re.S) for text in texts]
    found = [part for part in parts if part]
    complete = found and [int(p[1]) for p in found] == [*range(1, int(found[0][2]) + 1)]
    return " ".join(part[3] for part in found) if complete else ""


def answers(sandbox: Sandbox, phone: str) -> list[str]:
    (task,) = sandbox.store.tasks_of(phone)
    return [message.text for message in task.messages if message.sender == "agent"]


async def test_a_text_is_answered_by_texts(bot: Bot, twilio: FakeTwilio, sandbox: Sandbox) -> None:
    phone = "+15005550001"

    called = await twilio.receive(phone, "I want a built-in microwave", bot.webhook)
    await twilio.until(lambda taken: bool(whole(texts_to(phone, taken))))

    assert (called.status_code, called.text) == (200, "<Response/>")
    assert called.headers["content-type"].startswith("text/xml")
    texts = texts_to(phone, twilio.taken)
    assert len(texts) > 1
    assert [segments(text) for text in texts] == [1] * len(texts)
    assert [whole(texts)] == answers(sandbox, phone)


async def test_two_quick_messages_of_a_new_user_are_one_conversation(
    bot: Bot, twilio: FakeTwilio, sandbox: Sandbox
) -> None:
    phone = "+15005550002"
    said = ["I want a fridge", "which is the cheapest?"]

    for text in said:
        await twilio.receive(phone, text, bot.webhook)
    await twilio.until(lambda taken: sum("cheapest of" in t for t in texts_to(phone, taken)) == 1)

    (task,) = sandbox.store.tasks_of(phone)
    assert [message.text for message in sandbox.store.user_messages(task.id)] == said
    first, second = answers(sandbox, phone)
    texts = texts_to(phone, twilio.taken)
    told = [
        n for n in range(1, len(texts)) if (whole(texts[:n]), whole(texts[n:])) == (first, second)
    ]
    assert len(told) == 1


@pytest.mark.parametrize("forged", [{"token": "guessed"}, {"at": "/sms?more=1"}])
async def test_a_wrong_signature_is_refused_and_nothing_published(
    bot: Bot, twilio: FakeTwilio, at: Bench, forged: dict[str, str]
) -> None:
    phone = f"+1500555010{len(forged.get('token', ''))}"
    jobs = await at.listen(jobs_exchange(at.network), slot_of(phone))
    other = FakeTwilio("https://other.example/sms") if "at" in forged else twilio

    called = await other.receive(phone, "a fridge", bot.webhook, token=forged.get("token", ""))
    await twilio.receive(phone, "a microwave", bot.webhook)
    (job,) = await jobs.until(lambda messages: bool(messages))

    assert called.status_code == 403
    assert b"a microwave" in job.body


async def test_a_repeated_webhook_is_one_job(
    bot: Bot, twilio: FakeTwilio, at: Bench, sandbox: Sandbox
) -> None:
    """The job's id is the MessageSid."""
    phone = "+15005550003"
    jobs = await at.listen(jobs_exchange(at.network), slot_of(phone))
    sid = "SM" + "3" * 32

    codes = [
        (await twilio.receive(phone, "a fridge", bot.webhook, sid=sid)).status_code
        for _ in range(3)
    ]
    await twilio.receive(phone, "thanks", bot.webhook, sid="SM" + "4" * 32)
    await twilio.until(lambda taken: any("welcome" in t for t in texts_to(phone, taken)))

    assert codes == [200, 200, 200]
    published = [job for job in jobs.messages if "aui-attempt-base" not in job.headers]
    assert [job.message_id for job in published] == ["SM" + "3" * 32, "SM" + "4" * 32]
    assert len(sandbox.store.user_messages(sandbox.store.tasks_of(phone)[0].id)) == 2
    assert len(answers(sandbox, phone)) == 2


async def test_what_is_no_question_is_no_job(bot: Bot, twilio: FakeTwilio, at: Bench) -> None:
    """A picture without a word; a repeated check that the bot still answers the next one."""
    phone = "+15005550004"
    jobs = await at.listen(jobs_exchange(at.network), slot_of(phone))

    called = await twilio.receive(phone, " ", bot.webhook)
    await twilio.receive(phone, "a microwave", bot.webhook)
    (job,) = await jobs.until(lambda messages: bool(messages))

    assert called.status_code == 200
    assert b"a microwave" in job.body


@pytest.mark.parametrize(
    ("said", "sorry"),
    [("!400 | something rude", SORRY["rephrase"]), ("!error status=503 | hi", SORRY["try_later"])],
)
async def test_who_cannot_be_answered_is_told_what_to_do(
    bot: Bot, twilio: FakeTwilio, said: str, sorry: str
) -> None:
    phone = f"+15005551{len(said):03d}"

    await twilio.receive(phone, said, bot.webhook)
    await twilio.until(lambda taken: bool(texts_to(phone, taken)))

    assert texts_to(phone, twilio.taken) == [sorry]


async def test_a_provider_in_trouble_is_asked_again(
    bot: Bot, twilio: FakeTwilio, sandbox: Sandbox
) -> None:
    """A text that was taken is not sent again because a later one was not."""
    phone = "+15005550005"
    twilio.troubles += [
        Trouble(429, 20429, retry_after=1),
        Trouble(500, 20500),
        Trouble(401, 20003),
    ]

    await twilio.receive(phone, "I want a built-in microwave", bot.webhook)
    await twilio.until(lambda taken: bool(whole(texts_to(phone, taken))))

    assert not twilio.troubles
    assert [whole(texts_to(phone, twilio.taken))] == answers(sandbox, phone)


async def test_a_refused_text_is_given_up_and_others_are_not(
    bot: Bot, twilio: FakeTwilio, at: Bench
) -> None:
    """21610: the user has opted out. Nothing is left in the queue."""
    phone = "+15005550006"
    twilio.troubles.append(Trouble(400, 21610))

    await twilio.receive(phone, "a fridge", bot.webhook)
    await twilio.receive(phone, "thanks", bot.webhook)
    await twilio.until(lambda taken: any("welcome" in t for t in texts_to(phone, taken)))

    assert "error 21610" in bot.said
    queue = await at.channel.declare_queue(f"sub.sms-bot.{at.network}", passive=True)
    assert queue.declaration_result.message_count == 0


async def test_nothing_of_a_conversation_and_no_secret_is_logged(bot: Bot) -> None:
    for word in ("microwave", "+1500555", FakeTwilio.auth_token):
        assert word not in bot.said


async def test_settings_that_are_missing_are_named() -> None:
    bot = Bot("bots.sms", {"AMQP_URL": "amqp://localhost/"})

    with pytest.raises(AssertionError):
        await bot.start()

    assert await bot.ended() == 78
    assert "set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, SMS_WEBHOOK_URL" in bot.said
