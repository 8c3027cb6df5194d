"""What can go wrong for a program that uses the client; no text holds a password.

``ClientError``
 ├── ``InvalidRequest``  the call is wrong; nothing was published (also a ``ValueError``)
 ├── ``NotConnected``    the broker was not reached, or refused the user or the virtual host
 ├── ``NotAccepted``     a job was not confirmed; ``maybe_queued`` says whether it may run
 ├── ``NotListening``    replies cannot be had: a missing right, a queue with other settings
 ├── ``JobFailed``       the job ended without an answer; ``advice`` says what to tell the user
 └── ``NoAnswer``        none came in time; the job goes on
"""

from worker.client.advice import Advice
from worker.client.replies import Failed
from worker.core.errors import ConfigurationError

FORKED = "this process was forked from the client's: it needs a client of its own"


class ClientError(Exception):
    """Any failure of the client."""


class InvalidRequest(ClientError, ValueError):
    """What was asked for breaks the contract; nothing was published.

    Args:
        field: the argument at fault.
        problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class NotConnected(ClientError, ConfigurationError):
    """The broker was not reached in time, or refused the credentials or the virtual host."""


class NotAccepted(ClientError):
    """A job was not confirmed by the broker.

    Args:
        why: one line for people.
        job_id: the job's id.
        maybe_queued: it may have been queued all the same, since a confirm was lost: send it again
            with the same job id, which is answered once. False: surely not.
    """

    def __init__(self, why: str, job_id: str, *, maybe_queued: bool = False) -> None:
        super().__init__(f"{why} (job {job_id})")
        self.job_id = job_id
        self.maybe_queued = maybe_queued


class NotListening(ClientError):
    """Replies cannot be had; the text says what the broker refused."""


class JobFailed(ClientError):
    """A job ended without an answer.

    Args:
        reply: the terminal reply that says so.
    """

    def __init__(self, reply: Failed) -> None:
        super().__init__(f"{reply.reason}: {reply.message} (job {reply.job_id})")
        self.reply = reply

    @property
    def reason(self) -> str:
        """A word of the verdict table, like ``bad_request``."""
        return self.reply.reason

    @property
    def status_code(self) -> int | None:
        """AUI's status code, if it sent one."""
        return self.reply.status_code

    @property
    def advice(self) -> Advice:
        """What to tell the user: ``rephrase``, ``try_later`` or ``operator``."""
        return self.reply.advice


class NoAnswer(ClientError):
    """No terminal reply came in time; the job goes on, and its replies still come.

    Args:
        job_id: the job's id.
        seconds: how long it was waited for.
    """

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s (job {job_id} goes on)")
        self.job_id = job_id
