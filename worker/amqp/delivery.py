"""One hand-over of a message: settled exactly once, and only over the channel it came by."""

from collections.abc import Callable

from worker.amqp.ledger import Ledger
from worker.core.envelope import Envelope


class AmqpDelivery:
    """Implements :class:`worker.relay.ports.Delivery`."""

    __slots__ = (
        "_ledger",
        "_settled",
        "at",
        "envelope",
        "first",
        "queue",
        "suspicion",
        "tag",
    )

    def __init__(
        self,
        envelope: Envelope,
        ledger: Ledger,
        tag: int,
        *,
        first: bool = False,
        at: float = 0.0,
        suspicion: int = 0,
        queue: str = "",
    ) -> None:
        self.envelope = envelope
        self.first = first
        self.at = at
        self.suspicion = suspicion
        self.queue = queue
        self.tag = tag
        self._ledger = ledger
        self._settled = False

    @property
    def lost(self) -> bool:
        """The channel it came by is gone: the broker hands it out again."""
        self._ledger.channel.check()
        return bool(self._ledger.channel.lost)

    def claim(self) -> bool:
        """Start working on it; False if its channel is lost or about to be closed."""
        self._ledger.channel.check()
        return not self._settled and self._ledger.claim(self.tag)

    def when_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when the channel it came by is gone; return what undoes that."""
        return self._ledger.channel.lost.when(call)

    async def ack(self) -> None:
        """Tell the broker that it is done.

        A delivery tag means nothing on another channel, so a delivery whose channel is gone is
        forgotten, never acked. Until the ack is on its way the channel is not closed. It is not
        waited for: nothing is known of an ack that is.

        Raises:
            RuntimeError: it was settled before.
        """
        if self._settled:
            raise RuntimeError("a delivery was settled twice")
        self._settled = True
        self._ledger.ack(self.tag)

    def give_back(self) -> None:
        """Have it go back to its queue: its channel is closed once nothing else is under way."""
        if self._settled:
            return
        self._settled = True
        self._ledger.give_back(self.tag)
