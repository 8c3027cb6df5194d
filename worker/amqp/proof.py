"""Tries the fast way to publish, over a channel of its own that is closed again.

What it works on is not documented, so another version of the client library may differ. Nothing
is left behind on the broker, and no right is needed: where one is missing, what can be seen
without the broker decides.
"""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from aio_pika import Message
from aio_pika.exceptions import PublishError
from aiormq import Channel as RawChannel
from aiormq import spec
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from worker.amqp.fast import FastPublishing
from worker.amqp.frames import Route, Wire
from worker.amqp.guard import guarded
from worker.amqp.messages import message_of, properties_of
from worker.amqp.session import Channel, Session
from worker.core.errors import LinkLost
from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.update import Update

PATIENCE = 5.0
"""Seconds the broker has to confirm."""
SAMPLES = 8
_SECONDS = 1_700_000_000
_FOUR_OCTETS = 70_000
"""A number that pamqp, too, writes in four octets."""


async def fault_of_fast(session: Session, patience: float = PATIENCE) -> str | None:
    """Return what is wrong with fast publishing; None if it works.

    Raises:
        LinkLost: the connection is gone.
    """
    channel = await session.channel(confirms=True)
    try:
        return misshapen(channel.raw) or miswritten() or await _misconduct(channel, patience)
    except TimeoutError:
        # A broker short of memory confirms nothing, and says so.
        return None if session.blocked else f"no confirm within {patience:g} s"
    except LinkLost as error:
        if error.code is None:
            raise
        return None  # it was refused, for a right or for a limit of the broker's
    except Exception as error:  # whatever it is, the plain way does without
        return repr(error)
    finally:
        await channel.close()


def misshapen(raw: object) -> str | None:
    """Return what is not as expected about a new channel of the client library."""
    if not isinstance(raw, RawChannel):
        return f"the channel is a {type(raw).__name__}"
    shape = {
        "write_queue": type(raw.write_queue) is asyncio.Queue and raw.write_queue.maxsize > 1,
        "confirmations": isinstance(raw.confirmations, dict),
        "message_id_delivery_tag": isinstance(raw.message_id_delivery_tag, dict),
        "delivery_tag": raw.delivery_tag == 0,
        "max_content_size": isinstance(raw.max_content_size, int),
        "number": raw.connection.channels.get(raw.number) is raw,
    }
    return next((f"a channel's {name} is odd" for name, right in shape.items() if not right), None)


def miswritten() -> str | None:
    """Return what is wrong with the frames we write: they must be those of the plain way."""
    replies, wire = _replies(), Wire(channel=7, room=100)
    replies.seq = _FOUR_OCTETS
    first = replies.update(Update.saying(""))
    route = Route(wire, "", first.routing_key, properties_of(first))
    for size in (0, 1, 200):
        reply = replies.update(Update.saying("x" * size))
        key, body, properties = reply.routing_key, reply.body, _message(reply).properties
        plain = _as_the_library_writes(wire, key, properties, body)
        updates = route.publish(reply.seq, reply.message_id.encode(), _SECONDS, body)
        others = wire.publish("", key, properties, body, mandatory=False)
        if not plain == updates == others:
            return "the frames are not those that pamqp writes"
    return None


def _as_the_library_writes(
    wire: Wire, key: str, properties: spec.Basic.Properties, body: bytes
) -> bytes:
    room = wire.room
    pieces = [ContentBody(body[start : start + room]) for start in range(0, len(body), room)]
    frames: list[spec.Basic.Publish | ContentHeader | ContentBody] = [
        spec.Basic.Publish(exchange="", routing_key=key),
        ContentHeader(properties=properties, body_size=len(body)),
        *pieces,
    ]
    return b"".join(frame.marshal(each, wire.channel) for each in frames)


async def _misconduct(channel: Channel, patience: float) -> str | None:
    """Publish to nowhere; everything has to be confirmed, or to come back as it was."""
    publishing, replies = FastPublishing(channel, SAMPLES), _replies()
    last = replies.update(Update.saying("x" * 200_000))  # it takes two frames
    message = _message(last)
    async with asyncio.timeout(patience):
        for _ in range(SAMPLES):
            publishing.update(replies.update(Update.saying("")), _nowhere)
        try:
            sent = publishing.publish(*_nowhere(last), message, mandatory=True)
            await channel.lost.ends(guarded(sent))
        except PublishError as error:
            if not _same(error, message):
                return "a message did not come back as it was"
        else:
            return "a message that no queue takes did not come back"
        while publishing.tally.updates:
            await publishing.tally.turn()
    return None


def _same(error: PublishError, message: Message) -> bool:
    returned = error.message
    if returned is None or returned.body != message.body:
        return False
    return bool(returned.header.properties == message.properties)


def _message(reply: Reply) -> Message:
    message = message_of(reply)
    message.timestamp = datetime.fromtimestamp(_SECONDS, UTC)
    return message


def _replies() -> Replies:
    job_id = uuid4().hex
    return Replies(Address("default", job_id, job_id, task_id="nowhere"), base=0)


def _nowhere(reply: Reply) -> tuple[str, str]:
    return "", f"aui.nowhere.{reply.address.job_id}"
