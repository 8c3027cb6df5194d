"""The WhatsApp bot, from Meta's webhook to the Graph API, over real HTTP and RabbitMQ."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from harness import Bench

from examples.bots.fake_meta import FakeMeta
from examples.bots.fake_provider import Trouble, served
from examples.bots.outbox import SORRY
from tests.bots.living import Bot, living, whatsapp_settings
from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Json = dict[Any, Any]


@pytest.fixture(scope="module")
async def meta() -> FakeMeta:
    return FakeMeta()


@pytest.fixture(scope="module")
async def bot(amqp_url: str, network: str, meta: FakeMeta) -> AsyncIterator[Bot]:
    async with (
        served(meta.app) as api,
        living("bots.whatsapp", whatsapp_settings(amqp_url, network, api)) as running,
    ):
        yield running


def to(phone: str, taken: list[Json]) -> list[Json]:
    return [message for message in taken if message["to"] == phone]


def bodies(messages: list[Json]) -> list[str]:
    return [
        message["text"]["body"] if "text" in message else message["interactive"]["body"]["text"]
        for message in messages
    ]


async def test_the_handshake_answers_the_challenge_of_whoever_knows_the_token(
    bot: Bot, meta: FakeMeta
) -> None:
    right, wrong = await meta.verify(bot.webhook), await meta.verify(bot.webhook, "guessed")

    assert (right.status_code, right.text) == (200, "1158201444")
    assert wrong.status_code == 403
    assert "1158201444" not in wrong.text


async def test_an_answer_is_text_with_a_list_of_options_and_buttons(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    phone = "4917000001"

    called = await meta.receive(phone, "I want a built-in microwave", bot.webhook)
    await meta.until(lambda taken: len(to(phone, taken)) == 2)

    assert called.status_code == 200
    (task,) = sandbox.store.tasks_of(phone)
    answer = task.messages[-1]
    options, questions = to(phone, meta.taken)
    assert options["interactive"]["body"]["text"] == answer.text
    rows = options["interactive"]["action"]["sections"][0]["rows"]
    assert [row["id"] for row in rows] == [product.name for product in answer.products]
    buttons = questions["interactive"]["action"]["buttons"]
    assert [button["reply"]["id"] for button in buttons] == list(answer.suggestions)
    assert all(one in questions["interactive"]["body"]["text"] for one in answer.suggestions)


async def test_a_tapped_button_or_row_is_what_the_user_says_next(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    """In full, though its title was cut."""
    phone = "4917000002"
    await meta.receive(phone, "I want a built-in microwave", bot.webhook)
    await meta.until(lambda taken: len(to(phone, taken)) == 2)
    options, questions = to(phone, meta.taken)
    row = options["interactive"]["action"]["sections"][0]["rows"][0]
    button = questions["interactive"]["action"]["buttons"][0]["reply"]
    assert button["title"].endswith("…")

    await meta.receive(phone, button, bot.webhook)
    await meta.receive(phone, row, bot.webhook)
    (task,) = sandbox.store.tasks_of(phone)
    await meta.until(lambda taken: len(to(phone, taken)) == 6)

    said = [message.text for message in sandbox.store.user_messages(task.id)]
    assert said == ["I want a built-in microwave", button["id"], row["id"]]


async def test_two_quick_messages_in_one_call_are_one_conversation(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    phone = "4917000003"
    messages = [
        {"from": phone, "id": f"wamid.{n}", "type": "text", "text": {"body": f"a fridge, {n}"}}
        for n in range(2)
    ]

    await meta.notify(bot.webhook, {"messages": messages})
    await meta.until(lambda taken: len(to(phone, taken)) == 4)

    (task,) = sandbox.store.tasks_of(phone)
    said = [message.text for message in sandbox.store.user_messages(task.id)]
    assert said == ["a fridge, 0", "a fridge, 1"]


async def test_a_wrong_signature_is_refused_and_nothing_published(
    bot: Bot, meta: FakeMeta, at: Bench
) -> None:
    phone = "4917000004"
    jobs = await at.listen(jobs_exchange(at.network), slot_of(phone))

    called = await meta.receive(phone, "a fridge", bot.webhook, secret="guessed")
    await meta.receive(phone, "a microwave", bot.webhook)
    (job,) = await jobs.until(lambda messages: bool(messages))

    assert called.status_code == 403
    assert b"a microwave" in job.body


async def test_a_repeated_webhook_is_one_job_and_one_answer(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    phone = "4917000005"

    for _ in range(3):
        await meta.receive(phone, "a fridge", bot.webhook, wamid="wamid.HBgL5")
    await meta.receive(phone, "thanks", bot.webhook)
    await meta.until(lambda taken: any("welcome" in body for body in bodies(to(phone, taken))))

    (task,) = sandbox.store.tasks_of(phone)
    assert len(sandbox.store.user_messages(task.id)) == 2
    answers = [message.text for message in task.messages if message.sender == "agent"]
    sent = bodies(to(phone, meta.taken))
    assert [sent.count(answer) for answer in answers] == [1, 1]


async def test_an_id_longer_than_a_job_s_may_be_still_makes_one_job(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    phone = "4917000006"

    for _ in range(2):
        await meta.receive(phone, "a fridge", bot.webhook, wamid="wamid." + "x" * 200)
    await meta.until(lambda taken: len(to(phone, taken)) == 2)

    (task,) = sandbox.store.tasks_of(phone)
    assert len(sandbox.store.user_messages(task.id)) == 1


async def test_statuses_and_reactions_are_no_jobs(bot: Bot, meta: FakeMeta, at: Bench) -> None:
    phone = "4917000007"
    jobs = await at.listen(jobs_exchange(at.network), slot_of(phone))
    status = {"id": "wamid.1", "status": "delivered", "timestamp": "1", "recipient_id": phone}
    reaction = {"message_id": "wamid.1", "emoji": "👍"}
    reacted = {"from": phone, "id": "wamid.2", "type": "reaction", "reaction": reaction}

    codes = [
        (await meta.notify(bot.webhook, {"statuses": [status]})).status_code,
        (await meta.notify(bot.webhook, {"messages": [reacted]})).status_code,
    ]
    await meta.receive(phone, "a microwave", bot.webhook)
    (job,) = await jobs.until(lambda messages: bool(messages))

    assert codes == [200, 200]
    assert b"a microwave" in job.body


@pytest.mark.parametrize(
    ("said", "sorry"),
    [("!400 | something rude", SORRY["rephrase"]), ("!error status=503 | hi", SORRY["try_later"])],
)
async def test_who_cannot_be_answered_is_told_what_to_do(
    bot: Bot, meta: FakeMeta, said: str, sorry: str
) -> None:
    phone = f"49170001{len(said):02d}"

    await meta.receive(phone, said, bot.webhook)
    await meta.until(lambda taken: bool(to(phone, taken)))

    assert bodies(to(phone, meta.taken)) == [sorry]


async def test_meta_s_limits_and_troubles_are_waited_out(
    bot: Bot, meta: FakeMeta, sandbox: Sandbox
) -> None:
    """Too many messages to one user is a status 400 whose code says that it will pass."""
    phone = "4917000008"
    meta.troubles += [Trouble(400, 131056), Trouble(500, 131000), Trouble(429, 130429)]

    await meta.receive(phone, "a fridge", bot.webhook)
    await meta.until(lambda taken: len(to(phone, taken)) == 2)

    assert not meta.troubles
    (task,) = sandbox.store.tasks_of(phone)
    assert bodies(to(phone, meta.taken))[0] == task.messages[-1].text


async def test_what_meta_refuses_is_given_up_and_others_are_not(bot: Bot, meta: FakeMeta) -> None:
    """131047: more than 24 hours since the user last wrote."""
    phone = "4917000009"
    meta.troubles.append(Trouble(400, 131047))

    await meta.receive(phone, "a fridge", bot.webhook)
    await meta.receive(phone, "thanks", bot.webhook)
    await meta.until(lambda taken: any("welcome" in body for body in bodies(to(phone, taken))))

    assert "error 131047" in bot.said


async def test_nothing_of_a_conversation_and_no_secret_is_logged(bot: Bot) -> None:
    secrets = (FakeMeta.token, FakeMeta.app_secret, FakeMeta.verify_token)
    for word in ("microwave", "49170000", *secrets):
        assert word not in bot.said
