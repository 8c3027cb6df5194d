"""One hand-over of a message: settled exactly once, and only over the channel it came by."""

from worker.amqp.guard import guarded
from worker.amqp.session import Channel
from worker.core.envelope import Envelope
from worker.core.errors import LinkLost


class AmqpDelivery:
    """Implements :class:`worker.relay.ports.Delivery`."""

    def __init__(self, envelope: Envelope, channel: Channel, tag: int) -> None:
        self.envelope = envelope
        self._channel = channel
        self._tag = tag
        self._settled = False

    @property
    def lost(self) -> bool:
        """The channel it came by is gone: the broker hands it out again."""
        return bool(self._channel.lost)

    async def ack(self) -> None:
        """Tell the broker that it is done.

        A delivery tag means nothing on another channel, so a delivery whose channel is gone is
        forgotten, never acked.

        Raises:
            RuntimeError: it was settled before.
        """
        if self._settled:
            raise RuntimeError("a delivery was settled twice")
        self._settled = True
        if self.lost:
            return
        try:
            await guarded(self._channel.raw.basic_ack(self._tag, wait=False))
        except LinkLost as error:
            self._channel.lost.tell(str(error))

    def give_back(self) -> None:
        """Have the channel closed, so that the broker hands it out again: it cannot be settled."""
        self._channel.lost.tell("a job could not be settled")
