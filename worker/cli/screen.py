"""Replies for a person at a terminal: text redrawn in place while it streams."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from worker.client import Created, Failed, Final, Option, Reply, Retrying, Update

_KEPT_CONTROLS = "\n\t"
_WAITING = ("", "")


class Screen:
    """Draws replies.

    Where the output is no terminal, only what has ended is printed.

    Args:
        console: where to draw.
        name_tasks: say which task each line is about.
        numbers: number the suggestions.
    """

    def __init__(
        self, console: Console, *, name_tasks: bool = False, numbers: bool = False
    ) -> None:
        self._console = console
        self._name_tasks = name_tasks
        self._numbers = numbers
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

    def show(self, reply: Reply) -> None:
        """Draw one reply."""
        job = (reply.task_id, reply.job_id)
        self._streaming.pop(_WAITING, None)
        if isinstance(reply, Update):
            self._streaming[job] = self._line(reply, "…", plain(reply.text), "cyan")
        else:
            self._streaming.pop(job, None)
        ended = not isinstance(reply, Update)
        self._live.update(Group(*self._streaming.values()), refresh=ended)
        if ended:
            self._console.print(self._ended(reply))

    def wait(self) -> None:
        """Show that an answer is waited for."""
        self._streaming[_WAITING] = Text("…", "bold cyan")
        self._live.update(Group(*self._streaming.values()))

    def _ended(self, reply: Reply) -> Group:
        match reply:
            case Final():
                head = self._line(reply, "✓", plain(reply.text), "green")
                shown = offers(reply.options, reply.followup_suggestions, numbers=self._numbers)
                return Group(head, *shown)
            case Retrying():
                words = f"{_failure(reply)}; trying again in {_seconds(reply)}"
                return Group(self._line(reply, "↻", words, "yellow"))
            case Created():
                return Group(self._line(reply, "+", f"new task for {plain(reply.user)}", "blue"))
            case Failed():
                return Group(self._line(reply, "✗", _failure(reply), "red"))
            case _:
                return Group(self._line(reply, "?", "", "dim"))

    def _line(self, reply: Reply, mark: str, words: str, style: str) -> Text:
        whose = f"{reply.task_id} " if self._name_tasks else ""
        return Text.assemble((f"{mark} ", f"bold {style}"), (whose, "dim"), words)


def plain(text: str) -> str:
    """Return a text without control characters, which could drive the terminal."""
    return "".join(letter for letter in text if letter.isprintable() or letter in _KEPT_CONTROLS)


def offers(
    options: Sequence[Option], suggestions: Sequence[str], *, numbers: bool = False
) -> list[Padding]:
    """List the products and the follow-up suggestions of an answer."""
    lines = [Text(f"• {offer}") for option in options if (offer := _offer(option))]
    for number, suggestion in enumerate(suggestions, 1):
        mark = number if numbers else "?"
        lines.append(Text(f"{mark} {plain(suggestion)}", style="dim"))
    return [Padding(line, (0, 0, 0, 4)) for line in lines]


def _failure(reply: Failed | Retrying) -> str:
    return plain(f"{reply.reason}: {reply.message}")


def _seconds(reply: Retrying) -> str:
    return f"{reply.retry_in:.1f} s"


def _offer(option: Option) -> str:
    values = [str(parameter.value) for parameter in option.parameters]
    if option.name and option.name not in values:
        values.insert(0, option.name)
    return plain(" · ".join(values))
