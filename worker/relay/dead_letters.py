"""Keeps what could not be answered: the letter first, confirmed, then ``failed``."""

from dataclasses import replace

from worker.core.envelope import Envelope
from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.republish import Letter, copied, letter_headers, letter_key
from worker.core.verdict import Verdict
from worker.relay.ports import Clock, Copies, Publisher
from worker.relay.progress import Progress


class DeadLetters:
    """Writes dead letters and tells the subscribers.

    Args:
        copies: where letters go.
        publisher: where ``failed`` goes.
        worker_id: named in the letter.
        clock: the time.
    """

    def __init__(self, copies: Copies, publisher: Publisher, worker_id: str, clock: Clock) -> None:
        self._copies = copies
        self._publisher = publisher
        self._worker_id = worker_id
        self._clock = clock

    async def keep(
        self,
        envelope: Envelope,
        address: Address,
        replies: Replies,
        verdict: Verdict,
        progress: Progress,
    ) -> Reply:
        """Keep a job in ``aui.dead``, then publish ``failed``; return that once both are confirmed.

        Args:
            envelope: the job as it came.
            address: what is known of it, for the letter's routing key.
            replies: numbers the reply and says who it is for.
            verdict: why.
            progress: how far it came.
        """
        letter = Letter(
            verdict=verdict,
            attempts=progress.attempts,
            text=progress.text,
            at=self._clock.utc().isoformat(timespec="milliseconds"),
            worker=self._worker_id,
        )
        properties = replace(
            copied(envelope.properties, letter_headers(letter)),
            message_id=envelope.properties.message_id or address.job_id,
        )
        await self._copies.to_dead(letter_key(address, verdict.reason), envelope.body, properties)
        progress.metrics.dead_lettered(address.network, verdict.reason)
        reply = replies.failed(verdict)
        await progress.end(self._publisher, reply)
        return reply
