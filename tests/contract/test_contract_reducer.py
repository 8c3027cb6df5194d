"""Subscribers in two languages make the same of the same replies, whatever became of them."""

import base64
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.client.newest import Newest
from worker.client.reading import read_reply
from worker.client.replies import Final, Update
from worker.core.envelope import Envelope, Properties
from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.update import Update as Text
from worker.core.verdict import Source, judge

PROGRAM = Path(__file__).parent / "reduce.mjs"
DELIVERY = 64
"""Attempts that one delivery has room for."""
INTERNAL_ERROR = judge(Source.SERVER_CLOSE, 1011)
REFUSED = judge(Source.STATUS, 400, error=b'{"status_code":400,"text":"no answer"}')
PIECES = [
    "I found ",
    "several ",
    "Mikrowellen für ",
    "👍🏽",
    "👩‍👩‍👧",
    "\n",
    '"',
    "\\",
    "\u2028",
    "",
    "e\u0301",
]


class Outcome(NamedTuple):
    """What stands of a job."""

    type: str
    text: str
    ended: bool


Line = dict[str, Any]
"""A reply as the program reads it."""


def wire(reply: Reply) -> Line:
    """Write a reply for the program."""
    content = base64.b64encode(reply.body).decode()
    return {"type": reply.type, "headers": reply.headers, "content": content}


class Node:
    """The reducer of the examples, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def reduced(self, replies: Sequence[Line]) -> tuple[list[bool], dict[str, Outcome]]:
        """Return which of the replies were news, and what stands of each job in the end."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(replies) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        for job in said["standing"]:
            written = job["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            assert base64.b64decode(job["utf8"]) == written.encode()
        return said["fresh"], {
            job["key"]: Outcome(job["type"], job["text"], job["ended"]) for job in said["standing"]
        }


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """Run the program for all examples."""
    with subprocess.Popen(
        ["node", str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=PROGRAM.parent,
    ) as process:
        yield Node(process)
        assert process.stdin
        process.stdin.close()


def python(replies: Sequence[Reply]) -> tuple[list[bool], dict[str, Outcome]]:
    """The same by the rule of the Python client."""
    newest, fresh, standing = Newest(), list[bool](), dict[str, Outcome]()
    for reply in replies:
        properties = Properties(headers=reply.headers, type=reply.type)
        read = read_reply(Envelope("", reply.body, reply.routing_key, properties))
        assert read is not None
        fresh.append(newest.note(read))
        if fresh[-1]:
            text = read.text if isinstance(read, Update | Final) else ""
            standing[f"{read.task_id} {read.job_id}"] = Outcome(reply.type, text, read.terminal)
    return fresh, standing


@dataclass(frozen=True)
class Life:
    """All replies about one job, in the order in which they were published."""

    replies: Sequence[Reply]
    end: str | None
    """The final's text; None if it failed or did not end."""


@st.composite
def lives(draw: st.DrawFn, job_id: str) -> Life:
    """Draw what becomes of a job: deliveries, attempts, retries, and an end that may repeat."""
    pieces = draw(st.lists(st.sampled_from(PIECES), max_size=6))
    text = "".join(pieces)
    address = Address("default", job_id, job_id, task_id="t1")
    said: list[Reply] = []
    for delivery in range(draw(st.integers(1, 3))):
        replies = Replies(address, delivery * DELIVERY)
        for _ in range(draw(st.integers(1, 3))):
            replies.begin_attempt()
            said += _updates(draw, replies, text)
            said.append(replies.retrying(INTERNAL_ERROR, 0.5))
        said.pop()  # the last attempt of a delivery is cut short, or ends the job
    end = draw(st.sampled_from(["answered", "recovered", "failed", "replayed", None]))
    if end in ("failed", "replayed"):
        said.append(replies.failed(REFUSED))
        replies.begin_attempt()
    if end in ("answered", "recovered", "replayed"):
        body = json.dumps({"id": "m1", "text": text}, ensure_ascii=draw(st.booleans())).encode()
        said.append(replies.final(body, recovered=end == "recovered"))
    return Life(said, None if end in ("failed", None) else text)


def _updates(draw: st.DrawFn, replies: Replies, text: str) -> Iterator[Reply]:
    """Yield updates cut where AUI may cut them: in the middle of an emoji, too."""
    units = text.encode("utf-16-le")
    for cut in sorted(draw(st.lists(st.integers(0, len(units) // 2), max_size=4))):
        part = units[: 2 * cut].decode("utf-16-le", "surrogatepass")
        yield replies.update(Text(json.dumps(part).encode()))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Sequence[Life], Sequence[Reply]]:
    """Draw what a subscriber gets of two jobs: late, repeated, overtaken, or in good order."""
    both = [draw(lives("j1")), draw(lives("j2"))]
    published = [reply for life in both for reply in life.replies]
    repeated = draw(st.lists(st.sampled_from(published), max_size=6)) if published else []
    return both, draw(st.permutations([*published, *repeated]))


@given(stream=streams())
def test_the_text_that_stands_is_that_of_the_final(
    node: Node, stream: tuple[Sequence[Life], Sequence[Reply]]
) -> None:
    """Byte for byte, in both languages, for any order and any repeat."""
    told, replies = stream
    fresh, standing = node.reduced([*map(wire, replies)])

    assert (fresh, standing) == python(replies)
    for number, life in enumerate(told, start=1):
        if life.end is not None:
            stands = standing[f"t1 j{number}"]
            assert stands.text.encode() == life.end.encode()
            assert stands == Outcome("message.completed", life.end, ended=True)


@given(life=lives("j1"))
def test_a_type_of_a_later_contract_is_passed_over(node: Node, life: Life) -> None:
    later = [
        {**line, "type": "message.annotated", "headers": {**line["headers"], "aui-attempt": 1000}}
        for line in map(wire, life.replies)
    ]
    fresh, standing = node.reduced([*map(wire, life.replies), *later])
    assert not any(fresh[len(life.replies) :])
    assert standing == python(life.replies)[1]
