"""The commands about dead letters as a person would use them, on one network of a test's own."""

import json
from typing import Any

from harness import Bench, Inbox
from programs import environment, finished

from worker.sandbox import Sandbox


class Clerk:
    """Runs ``aui-worker dead`` for one network; everything else in ``aui.dead`` is not its own."""

    def __init__(self, at: Bench, amqp_url: str) -> None:
        self.network = at.network
        self.env = environment(amqp_url, TERM="dumb", COLUMNS="200")

    async def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return exit code, output and errors."""
        return await finished("dead", *words, env=self.env)

    async def done(self, *words: str) -> str:
        """Run a command that succeeds; return its output."""
        code, out, errors = await self.run(*words)
        assert code == 0, out + errors
        return out

    async def letters(self) -> list[dict[str, Any]]:
        """Return the network's letters, oldest first."""
        out = await self.done("list", "--letters", "--json", "--network", self.network)
        found: list[dict[str, Any]] = json.loads(out)
        return found

    async def names(self) -> list[str]:
        """Return what the network's letters are called, oldest first."""
        return [str(letter["name"]) for letter in await self.letters()]


async def refuse_all(
    sandbox: Sandbox, at: Bench, hub: Inbox, says: list[tuple[str, str]], status: int = 400
) -> list[str]:
    """Have a worker's jobs refused by AUI before it has them; return their ids."""
    sandbox.fault(upgrade={"status": status})
    jobs = [await at.say(task_id, text) for task_id, text in says]
    for job in jobs:
        await hub.ended(job)
    sandbox.clear_faults()
    return jobs
