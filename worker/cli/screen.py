"""Replies for a person at a terminal: text redrawn in place while it streams."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from worker.client import ReceivedReply
from worker.core import headers as h
from worker.core.reply import ReplyKind

_KEPT_CONTROLS = "\n\t"


class Screen:
    """Draws replies.

    Where the output is no terminal, only what has ended is printed.

    Args:
        console: where to draw.
        name_tasks: say which task each line is about.
    """

    def __init__(self, console: Console, *, name_tasks: bool = False) -> None:
        self._console = console
        self._name_tasks = name_tasks
        self._streaming: dict[tuple[str, str], Text] = {}
        self._live = Live(console=console, transient=True, refresh_per_second=20)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, reply: ReceivedReply) -> None:
        """Draw one reply."""
        job = (reply.task_id, reply.job_id)
        if reply.kind is ReplyKind.UPDATE:
            self._streaming[job] = self._line(reply, "…", plain(reply.text), "cyan")
        else:
            self._streaming.pop(job, None)
            self._console.print(self._ended(reply))
        self._live.update(Group(*self._streaming.values()))

    def _ended(self, reply: ReceivedReply) -> Group:
        match reply.kind:
            case ReplyKind.FINAL:
                head = self._line(reply, "✓", plain(reply.text), "green")
                return Group(head, *_offers(reply.body))
            case ReplyKind.RETRYING:
                words = f"{_failure(reply)}; trying again in {_seconds(reply)}"
                return Group(self._line(reply, "↻", words, "yellow"))
            case ReplyKind.CREATED:
                user = plain(str(reply.headers.get(h.USER_ID, "")))
                return Group(self._line(reply, "+", f"new task for {user}", "blue"))
            case _:
                return Group(self._line(reply, "✗", _failure(reply), "red"))

    def _line(self, reply: ReceivedReply, mark: str, words: str, style: str) -> Text:
        whose = f"{reply.task_id} " if self._name_tasks else ""
        return Text.assemble((f"{mark} ", f"bold {style}"), (whose, "dim"), words)


def plain(text: str) -> str:
    """Return a text without control characters, which could drive the terminal."""
    return "".join(letter for letter in text if letter.isprintable() or letter in _KEPT_CONTROLS)


def _failure(reply: ReceivedReply) -> str:
    reason = reply.headers.get(h.REASON, "failed")
    return plain(f"{reason}: {reply.body.get('message', '')}")


def _seconds(reply: ReceivedReply) -> str:
    seconds = reply.headers.get(h.RETRY_IN)
    return f"{seconds:.1f} s" if isinstance(seconds, float | int) else "a while"


def _offers(answer: Mapping[str, Any]) -> list[Padding]:
    """List the products and the follow-up suggestions of an answer, in either dialect."""
    rows = [*_list(answer, "options"), *_list(answer, "cards")]
    offers = [_offer(row) for row in rows if isinstance(row, Mapping)]
    lines = [Text(f"• {offer}") for offer in offers if offer]
    lines += [
        Text(f"? {plain(str(suggestion))}", style="dim")
        for suggestion in _list(answer, "followup_suggestions")
    ]
    return [Padding(line, (0, 0, 0, 4)) for line in lines]


def _list(answer: Mapping[str, Any], name: str) -> list[Any]:
    value = answer.get(name)
    return value if isinstance(value, list) else []


def _offer(row: Mapping[str, Any]) -> str:
    parameters = _list(row, "widget_parameters") or _list(row, "parameters")
    values = [str(one["value"]) for one in parameters if isinstance(one, dict) and "value" in one]
    name = row.get("name")
    if isinstance(name, str) and name not in values:
        values.insert(0, name)
    return plain(" · ".join(values))
