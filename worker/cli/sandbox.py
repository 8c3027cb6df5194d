"""``aui-worker sandbox``: an AUI of one's own."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from worker.core.errors import ConfigurationError
from worker.sandbox import Sandbox


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.")] = 8090,
    api_key: Annotated[str, typer.Option(help="The key to accept.")] = "API_KEY_sandbox",
    dialect: Annotated[
        Literal["docs", "sdk"], typer.Option(help="Speak like the documents or like the SDK.")
    ] = "docs",
    pace: Annotated[float, typer.Option(help="Seconds between two words.")] = 0.04,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Remember tasks and messages here, from run to run."),
    ] = None,
) -> None:
    """Run a sandbox of AUI's API, which misbehaves on demand ('!1011 after=3 | hello')."""

    def tell(started: Sandbox) -> None:
        # Flushed, for whoever waits for it behind a pipe.
        print(f"sandbox of AUI on {started.base_url}  (Ctrl-C stops it)")
        exports = f"AUI_BASE_URL={started.base_url} AUI_NETWORK_API_KEY={api_key}"
        print(f"  {exports} aui-worker run", flush=True)

    try:
        server = Sandbox(
            api_key=api_key,
            dialect=dialect,
            word_delay=pace,
            host=host,
            port=port,
            journal=journal,
        )
    except ValueError as error:
        raise ConfigurationError(f"--journal: {error}") from None
    asyncio.run(server.run_forever(tell))
