"""The answers of the load server: frames marshalled once per kind of load, sent at their time."""

import asyncio
import json
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from benchmarks.load import TOKEN_BYTES, Stream, words

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
"""RFC 6455, 5.2: opcodes."""
PLACE = b"?" * TOKEN_BYTES
GOLDEN = 0.618034
"""Spreads the phases of paced answers evenly, however many there are."""


@dataclass
class World:
    """What the sockets share.

    Attributes:
        sent: of each job's token, when its updates went out, in ns of the monotonic clock.
        histories: of each task, its messages as AUI would list them.
        held: what to call to let held answers go on.
        stalls: how often a socket took no more.
        sockets: how many have been opened.
    """

    sent: dict[str, "array[int]"] = field(default_factory=dict)
    histories: dict[str, list[bytes]] = field(default_factory=dict)
    held: list[Callable[[], None]] = field(default_factory=list)
    stalls: int = 0
    sockets: int = 0


class Answer:
    """One answer on its way: update by update, then the final."""

    def __init__(
        self,
        world: World,
        transport: asyncio.Transport,
        request: bytes,
        done: Callable[[], None],
    ) -> None:
        self.paused = False
        self._held = False
        self._world = world
        self._transport = transport
        self._done = done
        asked = json.loads(request)
        self._task_id: str = asked["task_id"]
        self._text: str = asked["text"]
        token, self._stream = Stream.of(self._text)
        self._token = token.encode()
        self._frames, self._final = frames(self._stream.updates, self._stream.size)
        self._sent = world.sent.setdefault(token, array("q"))
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        phase = (int(token) * GOLDEN) % 1.0 * self._stream.interval
        self._began = self._loop.time() + phase
        if self._stream.interval and not self._stream.hold:
            self._timer = self._loop.call_at(self._began, self._step)
        else:
            self._step()

    def stop(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
        self.paused = True

    def resume(self) -> None:
        """Go on after a pause; not before its time."""
        self.paused = False
        if self._timer is None and not self._held:
            self._step()

    def _step(self) -> None:
        self._timer = None
        if self.paused or self._transport.is_closing():
            return
        if self._next == len(self._frames):
            self._finish()
            return
        self._sent.append(time.monotonic_ns())
        head, tail = self._frames[self._next]
        self._next += 1
        self._transport.write(head + self._token + tail)
        self._plan()

    def _plan(self) -> None:
        stream = self._stream
        if stream.hold and self._next == 1:
            self._held = True
            self._world.held.append(self._release)
        elif stream.interval:
            due = self._began + self._next * stream.interval
            self._timer = self._loop.call_at(due, self._step)
        elif not self.paused:
            self._timer = self._loop.call_soon(self._step)

    def _release(self) -> None:
        self._held = False
        self._step()

    def _finish(self) -> None:
        history = self._world.histories.setdefault(self._task_id, [])
        said = _now()
        mark = b"%s-%d" % (self._token, len(history))
        message = self._final % (mark, said, self._token)
        history += [_asked(self._text, mark, said), message]
        self._transport.write(frame(TEXT, message))
        self._done()


@lru_cache(maxsize=64)
def frames(updates: int, size: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the frames of a load, each split where the token goes, and its final's template."""
    text = words(updates, size)
    made = []
    for number in range(1, updates + 1):
        body = PLACE + text[: number * size]
        event = b'{"event":"thread-message-text-content-updated","data":{"text":"%s"}}' % body
        head, _, tail = frame(TEXT, event).partition(PLACE)
        made.append((head, tail))
    final = (
        b'{"id":"msg-%s","created_at":"%s","text":"%s' + text + b'",'
        b'"sender":{"id":"agent_abc123","type":"agent","email":"agent@aui.io"},'
        b'"receiver":{"id":"user-1","type":"user","email":"customer@example.com"},'
        b'"options":[{"is_recommended":true,"widget_parameters":['
        b'{"title":"Product name","value":"Built-in microwave","type":"string"},'
        b'{"title":"Price","value":"$342.99","type":"numeric"}]}],"variants_options":[],'
        b'"followup_suggestions":["Which one is the quietest?"]}'
    )
    return made, final


def frame(opcode: int, payload: bytes) -> bytes:
    """Marshal a server's frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def _asked(text: str, mark: bytes, said: bytes) -> bytes:
    told = json.dumps(text).encode()
    return (
        b'{"id":"user-%s","created_at":"%s","text":%s,"sender":{"id":"user-1","type":"user"},'
        b'"receiver":{"id":"agent_abc123","type":"agent"}}' % (mark, said, told)
    )


def _now() -> bytes:
    now = time.time()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{moment}.{int(now % 1 * 1e6):06d}Z".encode()
