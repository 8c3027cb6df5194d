"""``aui-worker``: one file per command.

Exit codes: 0 ok, 1 failed, 2 usage, 78 configuration (EX_CONFIG of sysexits.h).
"""

import sys

import typer

from worker.cli import (
    chat,
    check,
    dead,
    demo,
    explain,
    partitions,
    run,
    sandbox,
    schema,
    send,
    tail,
    topology,
)
from worker.client import ClientError
from worker.core.errors import ConfigurationError

FAILED, CONFIGURATION = 1, 78

app = typer.Typer(
    name="aui-worker",
    help="Puts AUI's AI agents behind RabbitMQ: durable jobs in, streamed answers out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.run)
app.command()(check.check)
app.command()(send.send)
app.command()(tail.tail)
app.command()(chat.chat)
app.command()(topology.topology)
app.command()(partitions.partitions)
app.add_typer(dead.app)
app.command()(explain.explain)
app.command()(schema.schema)
app.command()(sandbox.sandbox)
app.command()(demo.demo)


def main() -> None:
    """Run the command line; an expected failure is one line, never a traceback."""
    try:
        app()
    except ConfigurationError as error:
        print(f"aui-worker: {error}", file=sys.stderr)
        sys.exit(CONFIGURATION)
    except (ClientError, OSError) as error:
        print(f"aui-worker: {error}", file=sys.stderr)
        sys.exit(FAILED)
