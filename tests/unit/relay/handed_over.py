"""Jobs as they are handed over, once or again, whose settling is written down."""

from tests.fakes import FakeChannel, FakeDelivery, Journal
from tests.unit.relay.flow import again, message, received_of
from worker.core.envelope import Envelope
from worker.relay.received import Received


class Desk:
    """Receives jobs over one channel, and another one when that is lost."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.channel = FakeChannel()

    def receive(self, job_id: str | None, text: str = "yes", *, claimed: bool = False) -> Received:
        """Receive a job for the first time."""
        return self.take(message(text=text, job_id=job_id), claimed=claimed)

    def take(self, envelope: Envelope, *, claimed: bool = False) -> Received:
        """Receive a job."""
        received = received_of(envelope)
        received.delivery = Named(envelope, self.journal, self.channel)
        assert not claimed or received.claim()
        return received

    @property
    def settled(self) -> list[str]:
        """What became of which job, in order."""
        return [entry for entry in self.journal.entries if entry not in ("ack", "given back")]

    def redeliver(self, received: Received) -> Received:
        """Receive it again, over a new channel."""
        if self.channel.lost:
            self.channel = FakeChannel()
        return self.take(again(received.delivery.envelope))


class Named(FakeDelivery):
    """A delivery that writes its job's id beside what becomes of it."""

    async def ack(self) -> None:
        await super().ack()
        if self.acked:
            self._journal.add(f"{self.envelope.properties.message_id} acked")

    def give_back(self) -> None:
        super().give_back()
        self._journal.add(f"{self.envelope.properties.message_id} given back")
