"""Runs a bot: its webhook under uvicorn, its outbox beside it; neither lives without the other."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine

import uvicorn
from starlette.types import ASGIApp

from examples.bots.environment import number


async def serve(app: ASGIApp, outbox: Coroutine[None, None, None], port: int) -> None:
    """Serve until SIGINT or SIGTERM, then let the outbox finish what is on its way.

    The environment says where: ``HOST`` (127.0.0.1) and ``PORT`` (0 is any free one).

    Args:
        app: the webhook.
        outbox: runs until it is cancelled.
        port: the default port.
    """
    host = os.environ.get("HOST", "127.0.0.1")
    # No access log: the handshake of WhatsApp's webhook has a secret in its URL.
    config = uvicorn.Config(app, host=host, port=number("PORT", port), access_log=False)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs
    # uvicorn raises again what ended it, once it has restored the handlers: the outbox comes first.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: None)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(outbox)
        await uvicorn.Server(config).serve()
        sending.cancel()
