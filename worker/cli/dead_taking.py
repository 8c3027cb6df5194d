"""``aui-worker dead export`` and ``import``: letters in a file."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from worker.cli.dead_desk import (
    Channels,
    Limit,
    Networks,
    Reasons,
    Tasks,
    at_desk,
    fail,
    heads_of,
    summed_up,
    wanted_of,
)
from worker.core.envelope import Envelope
from worker.dead.desk import Desk
from worker.dead.head import UNKNOWN, Head, head_of
from worker.dead.lines import NoLetter, letter_in, line_of
from worker.dead.run import Outcome

STANDARD = "-"


def export(
    file: Annotated[str, typer.Argument(help="A new file; - is standard output.")] = STANDARD,
    reason: Reasons = None,
    network: Networks = None,
    task: Tasks = None,
    channel: Channels = None,
    limit: Limit = None,
) -> None:
    """Write letters as lines of JSON, with all that brings them back; they stay as they are."""
    wanted = wanted_of(None, reason, network, task, channel, limit)

    async def work(desk: Desk) -> int:
        return await _written(desk.read(await heads_of(desk, wanted)), file)

    print(f"{at_desk(work)} exported", file=sys.stderr)


def import_letters(
    file: Annotated[str, typer.Argument(help="What export wrote; - is standard input.")],
) -> None:
    """Bring exported letters back; one that is still there counts once."""
    outcome = Outcome()

    async def work(desk: Desk) -> None:
        with _opened(file) as lines:
            for number, line in enumerate(lines, 1):
                letter = _letter(line, number)
                why = await desk.bring(letter)
                if why is None:
                    outcome.done += 1
                else:
                    outcome.left.append((head_of(letter), why))

    with summed_up(outcome, "imported"):
        at_desk(work)


async def _written(letters: AsyncIterator[tuple[Head, Envelope]], file: str) -> int:
    count = 0
    with _new(file) as lines:
        async for _, letter in letters:
            lines.write(line_of(letter) + "\n")
            count += 1
    return count


@contextmanager
def _new(file: str) -> Iterator[TextIO]:
    """Open a file that is not there yet, for nobody else to read: it holds what users said."""
    if file == STANDARD:
        yield sys.stdout
        return
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"{file} is there already")
    try:
        with open(number, "w", encoding="utf-8", errors="surrogatepass") as lines:
            yield lines
    except BaseException:
        os.unlink(file)
        raise


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == STANDARD:
        yield sys.stdin
        return
    with open(file, encoding="utf-8", errors="surrogatepass") as lines:
        yield lines


def _letter(line: str, number: int) -> Envelope:
    try:
        letter = letter_in(line)
    except NoLetter as error:
        raise NoLetter(f"line {number}: {error}; those before it are imported") from None
    if head_of(letter).reason == UNKNOWN:
        raise NoLetter(f"line {number}: no worker wrote it; those before it are imported")
    return letter
