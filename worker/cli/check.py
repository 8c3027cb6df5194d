"""``aui-worker check``: would a worker work here, and if not, why not."""

import asyncio
import json
import logging
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from worker.check import Finding, State
from worker.check import check as look
from worker.core.redact import Redactor
from worker.settings import load_settings
from worker.telemetry.logs import set_up_logs

FAILED = 1
_STYLES = {State.OK: "green", State.FAILED: "bold red", State.SKIPPED: "dim"}


def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead.")] = False,
) -> None:
    """Test broker, rights, topology, AUI keys, histories and sockets; a line for each.

    It may be run at any time, beside workers: it makes nothing, publishes nothing, takes no job
    and sends AUI no message. It connects, looks at exchanges and queues, and asks the broker for
    things that it must refuse, to see which right it names (each is a line in the broker's log);
    it asks AUI for the tasks of a made-up user and the messages of a made-up task, and opens a
    WebSocket. A step takes 10 seconds at the most. Bindings cannot be seen over AMQP.

    Exit code: 0 if all is well, 1 if something is not, 78 if a setting is wrong.
    """
    settings = load_settings()
    set_up_logs("console", Redactor(settings.secrets), logging.ERROR)
    console, found = Console(), list[Finding]()

    def tell(finding: Finding) -> None:
        found.append(finding)
        if not as_json:
            # Each in one line, whatever the width: a log keeps it, and grep finds it.
            console.print(_line(finding), soft_wrap=True)

    asyncio.run(look(settings, tell))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    if any(finding.state is State.FAILED for finding in found):
        raise typer.Exit(FAILED)


def _line(finding: Finding) -> Text:
    said = " ".join(finding.said.split())
    state = (f"{finding.state:<9}", _STYLES[finding.state])
    return Text.assemble(state, (finding.what, "bold"), ": ", said)
