"""Frames that break the client library's decoder harm nothing, on a real RabbitMQ."""

import json
import struct

import pytest
from harness import Bench
from raw_amqp import (
    APP_ID,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    CORRELATION_ID,
    HEADERS,
    MESSAGE_ID,
    TIMESTAMP,
    TYPE,
    long,
    publish,
    short,
)

from worker.core.slots import slot_of
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

EVERY_TYPE = b"".join(
    short(name) + value
    for name, value in {
        b"short": b"s" + struct.pack(">h", -3),
        b"int": b"I" + struct.pack(">i", -3),
        b"long": b"l" + struct.pack(">q", -(2**62)),
        b"float": b"f" + struct.pack(">f", 1.5),
        b"double": b"d" + struct.pack(">d", 1.5),
        b"bytes": b"x" + long(b"\xff\0"),
        b"void": b"V",
        b"decimal": b"D" + struct.pack(">BI", 2, 314),
        b"time": b"T" + struct.pack(">Q", 1_700_000_000),
        b"table": b"F" + long(b""),
        b"array": b"A" + long(b"S" + long(b"\xff")),
        b"text": b"S" + long(b"\xff"),
        b"unsigned": b"i" + struct.pack(">I", 2**32 - 1),
    }.items()
)
DEEP = b""
for _ in range(3000):
    DEEP = short(b"n") + b"F" + long(DEEP)
FINE = {
    "a timestamp in nanoseconds": (TIMESTAMP, struct.pack(">Q", 1_790_000_000_000_000_000)),
    "a timestamp beyond all dates": (TIMESTAMP, struct.pack(">Q", 2**64 - 1)),
    "a message id in Latin-1": (MESSAGE_ID, short("é".encode("latin-1"))),
    "a content type in Latin-1": (CONTENT_TYPE, short(b"\xe9" * 255)),
    "a content encoding in Latin-1": (CONTENT_ENCODING, short(b"\xe9" * 255)),
    "a correlation id in Latin-1": (CORRELATION_ID, short(b"\xe9" * 255)),
    "an app id in Latin-1": (APP_ID, short(b"\xe9" * 255)),
    "headers of every type": (HEADERS, long(EVERY_TYPE)),
    "a header with an odd time": (HEADERS, long(short(b"t") + b"T" + struct.pack(">Q", 2**63))),
}
NO_JOB = {
    "a long message id in Latin-1": ("message_id", MESSAGE_ID, short(b"\xe9" * 255)),
    "a type in Latin-1": ("type", TYPE, short(b"\xe9" * 255)),
}
UNREADABLE = {
    "a header name in Latin-1": (HEADERS, long(short(b"\xff") + b"S" + long(b"v"))),
    "headers nested 3000 deep": (HEADERS, long(DEEP)),
}


@pytest.mark.parametrize("case", FINE, ids=str)
async def test_odd_properties_are_read_as_well_as_can_be(
    served: Bench, amqp_url: str, sandbox: Sandbox, case: str
) -> None:
    """The job is answered, and so is the next one; nothing reconnects for ever."""
    task = sandbox.create_task("user")
    hub = await served.hub(f"{served.network}.*.*.final")
    body = json.dumps({"task_id": task.id, "text": "odd"}).encode()

    exchange, slot = f"aui.jobs.{served.network}", slot_of(task.id).encode()
    await publish(amqp_url, exchange, slot, body, *FINE[case])
    await hub.ended(await served.say(task.id, "next"))

    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["odd", "next"]


@pytest.mark.parametrize("case", [*FINE, *UNREADABLE], ids=str)
async def test_odd_properties_can_be_copied_into_a_dead_letter(
    served: Bench, amqp_url: str, sandbox: Sandbox, case: str
) -> None:
    """A letter is written whatever the properties were, and the next job is answered."""
    hub, dead = await served.hub(f"{served.network}.*.*.final"), await served.dead()

    exchange = f"aui.jobs.{served.network}"
    await publish(amqp_url, exchange, b"00", b"no job", *(FINE | UNREADABLE)[case])
    (letter,) = await dead.until(lambda letters: len(letters) == 1)
    await hub.ended(await served.say(sandbox.create_task("user").id, "next"))

    assert letter.body == b"no job"
    named = "headers" if case in UNREADABLE else "body"
    told = json.loads(str(letter.headers["aui-dead-error"]))
    assert told["message"].startswith(f"{named}: ")


@pytest.mark.parametrize("case", NO_JOB, ids=str)
async def test_what_breaks_the_contract_is_named_as_ever(
    served: Bench, amqp_url: str, case: str
) -> None:
    """A property that must be valid, and is not even text, is an invalid job like any other."""
    dead = await served.dead()
    field, *raw = NO_JOB[case]

    body = b'{"task_id": "task-1", "text": "hi"}'
    flags, properties = raw
    assert isinstance(flags, int)
    assert isinstance(properties, bytes)
    await publish(
        amqp_url, f"aui.jobs.{served.network}", b"00", body, flags=flags, properties=properties
    )
    (letter,) = await dead.until(lambda letters: len(letters) == 1)

    assert json.loads(letter.headers["aui-dead-error"])["message"].startswith(f"{field}: ")


async def test_a_routing_key_in_latin_1_is_forwarded(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """It is no slot, so the job goes to the one of its task."""
    task = sandbox.create_task("user")
    hub = await served.hub(f"{served.network}.*.*.final")
    body = json.dumps({"task_id": task.id, "text": "odd"}).encode()

    await publish(amqp_url, f"aui.jobs.{served.network}", b"\xff\xfe", body)
    await hub.until(lambda finals: len(finals) == 1)

    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["odd"]
