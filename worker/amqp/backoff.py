"""How long to wait before trying again: longer each time, with jitter."""

import random

FIRST, LONGEST = 0.1, 5.0


class Backoff:
    """A growing pause, from 0.1 to 5 seconds."""

    def __init__(self) -> None:
        self._pause = FIRST

    def reset(self) -> None:
        """Start over: it worked."""
        self._pause = FIRST

    def next(self) -> float:
        """Return the seconds to wait now; the next wait is about twice as long."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST)
        return random.uniform(pause / 2, pause)
