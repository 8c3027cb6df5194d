"""The errors that carry meaning between layers.

* :class:`InvalidJob`: a message on a jobs queue is no job; it names the field.
* :class:`ConfigurationError`: a setting is wrong; the process ends with exit code 78.
* :class:`LinkLost`: the broker connection or channel under an operation is gone; its outcome
  is unknown.
* :class:`AgentUnavailable`: a REST call to AUI ended without what was asked for; it carries
  the verdict.
"""

from worker.core.verdict import Verdict


class InvalidJob(Exception):
    """A message that breaks the contract of jobs.

    Args:
        field: the body field, header or property at fault, in the words of the contract.
        problem: what is wrong with it, for the producer's developer.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ConfigurationError(Exception):
    """A setting that the process cannot run with; the text names it and holds no secret."""


class LinkLost(Exception):
    """The connection or channel under an AMQP operation is gone; the outcome is unknown.

    Args:
        why: one line for people.
        code: AMQP's reply code, where the broker closed the channel for a reason (404, 406).
    """

    def __init__(self, why: str, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code


class AgentUnavailable(Exception):
    """A REST call to AUI failed.

    Args:
        verdict: what the failure means, in the words of the verdict table.
        reached: what was asked may have reached AUI.
    """

    def __init__(self, verdict: Verdict, *, reached: bool = True) -> None:
        super().__init__(f"{verdict.reason}: {verdict.detail}")
        self.verdict = verdict
        self.reached = reached
