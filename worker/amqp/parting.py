"""Ends what holds a connection or channel, though the broker may not say goodbye."""

import asyncio
from typing import Any

PARTING = 2.0
"""Seconds the broker has to say goodbye; one whose line is down is silent until that is noticed."""
AGAIN = 0.1
"""Seconds to the next try: a channel that is being closed takes more than one."""


async def parted(*tasks: asyncio.Task[Any]) -> bool:
    """Cancel tasks, and again if they wait for the broker for too long.

    Their errors count no more. Tells whether the broker has answered.
    """
    for task in tasks:
        task.cancel()
    late = (await asyncio.wait(tasks, timeout=PARTING))[1]
    silent = bool(late)
    while late:
        for task in late:
            task.cancel()
        late = (await asyncio.wait(late, timeout=AGAIN))[1]
    await asyncio.gather(*tasks, return_exceptions=True)
    return not silent
