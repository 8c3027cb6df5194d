"""``aui-worker dead edit``: a job is corrected, and is a job then."""

import os
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.dead_acting import replay_all
from worker.cli.dead_desk import at_desk, fail, letters_of, rules
from worker.cli.screen import plain
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob
from worker.dead.again import check, edited, with_text
from worker.dead.wanted import Wanted


def edit(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job id; ID#2 is the second letter of that id.")
    ],
    text: Annotated[str | None, typer.Option(help="The new message of the user.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="A file with the new body.", exists=True, dir_okay=False)
    ] = None,
    send: Annotated[bool, typer.Option("--replay", help="Then send it again at once.")] = False,
) -> None:
    """Correct the body of a job, in $VISUAL or $EDITOR if no option says how."""
    if text is not None and body is not None:
        raise typer.BadParameter("give --text or --body, not both")
    found = at_desk(lambda desk: letters_of(desk, Wanted(jobs=[job])))
    if not found:
        fail(f"no letter of job {job}")
    if len(found) > 1:
        names = ", ".join(head.name for head, _ in found)
        raise typer.BadParameter(f"there are {len(found)} of them, name one: {plain(names)}")
    head, letter = found[0]
    by_hand = text is None and body is None
    new = _by_hand(letter) if by_hand else _given(letter, text, body)
    why = at_desk(lambda desk: desk.replace(head, _version(letter, new)))
    if why is not None:
        fail(f"{head.name} was not edited: {why}")
    print(f"edited {plain(head.name)}")
    if send or (by_hand and typer.confirm("Send it again now?")):
        replay_all(Wanted(jobs=[head.name]))
    else:
        print(f"Send it again: aui-worker dead replay {shlex.quote(plain(head.name))}")


def _given(letter: Envelope, text: str | None, body: Path | None) -> bytes:
    try:
        new = body.read_bytes() if body else with_text(letter.body, text or "")
        check(_version(letter, new), rules())
    except InvalidJob as error:
        fail(f"not edited: {error}")
    return new


def _by_hand(letter: Envelope) -> bytes:
    """Have a person change the body until it is that of a job, or give up."""
    try:
        text = letter.body.decode("utf-8")
    except UnicodeDecodeError:
        fail("its body is not UTF-8: give a whole new one with --body FILE")
    while True:
        text = _in_editor(text)
        new = text.rstrip("\n").encode("utf-8")
        if new == letter.body:
            fail("nothing was changed")
        try:
            check(_version(letter, new), rules())
        except InvalidJob as error:
            print(f"not a job: {plain(str(error))}", file=sys.stderr)
            typer.confirm("Go on editing?", default=True, abort=True)
        else:
            return new


def _in_editor(text: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:  # for this user's eyes only
        file = Path(folder, "body.json")
        file.write_text(f"{text}\n", "utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603  the user's
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"the editor failed: {error}; nothing was changed")
        return file.read_text("utf-8", "replace")


def _version(letter: Envelope, body: bytes) -> Envelope:
    return edited(letter, body, datetime.now(UTC).isoformat(timespec="milliseconds"))
