"""The way in: what a webhook brings is a job by user, accepted once the broker has confirmed it."""

import hashlib
import logging

from cachetools import LRUCache

from worker.client import Client, ClientError, InvalidRequest

WITHIN = 5.0
"""Seconds for a job to be confirmed in: a platform waits for its webhook's answer twice as long."""
REMEMBERED = 10_000
JOB_ID_BYTES = 128
log = logging.getLogger(__name__)


class Inbox:
    """Hands users' messages to the worker, each once.

    A platform that did not hear our answer in time calls again. What the broker has confirmed is
    not published again: the ids of the latest 10,000 are remembered. After a restart the worker
    knows a repeated id, as long as it lives itself.

    Args:
        aui: connected; its network and channel are the bot's.
    """

    def __init__(self, aui: Client) -> None:
        self._aui = aui
        self._accepted: LRUCache[str, str] = LRUCache(REMEMBERED)

    async def accepts(self, text: str, *, user_id: str, message_id: str) -> bool:
        """Publish a user's message; False: nothing is known of it, so have it sent again."""
        if message_id in self._accepted:
            log.info("%s came again", message_id)
            return True
        job_id = message_id
        if len(job_id.encode()) > JOB_ID_BYTES:
            job_id = hashlib.sha256(job_id.encode()).hexdigest()
        try:
            await self._aui.send(text, user_id=user_id, job_id=job_id, updates="off")
        except InvalidRequest as error:
            log.error("%s is no job, and never will be: %s", message_id, error)  # noqa: TRY400
        except ClientError as error:
            log.warning("%s was not accepted: %s", message_id, error)
            return False
        self._accepted[message_id] = job_id
        return True
