"""A clock whose time passes when the test says so, for what waits at several places at once."""

import asyncio

from tests.fakes import ManualClock
from tests.unit.relay.flow import let_run


class Hourglass(ManualClock):
    """Sleepers wake in order, each at its time."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        sleeper = (self.seconds + seconds, asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def run(self, seconds: float) -> None:
        """Let so many seconds pass, and everything happen that happens meanwhile."""
        end = self.seconds + seconds
        await let_run()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            self.seconds = min(at for at, _ in due)
            for at, woken in due:
                if at == self.seconds:
                    woken.set()
            await let_run()
        self.seconds = end
        await let_run()

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return len(self._sleepers)
