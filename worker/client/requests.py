"""What the client publishes: jobs, checked by the worker's own rules before they leave."""

import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypedDict

from worker.amqp.messages import JSON
from worker.client.errors import InvalidRequest
from worker.core import headers as h
from worker.core.body import WORD, is_word, shown
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.job import decode
from worker.core.job_properties import DEFAULT_CHANNEL, JobRules
from worker.core.operation import Operation
from worker.core.slots import slot_of
from worker.core.topology import DEFAULT_NETWORK, UNSLOTTED, jobs_exchange

MAX_JOB_BYTES = JobRules().max_bytes
MAX_SHORT = 255
"""Bytes of AMQP's short strings."""
MAX_EXPIRES_IN = (2**32 - 1) / 1000
"""Seconds; what a broker takes, about 49 days."""
_ARGUMENTS = {"message_id": "job_id", h.CHANNEL: "channel", h.UPDATES: "updates"}
"""The names of the contract, in the words of the client's arguments."""


class JobOptions(TypedDict, total=False):
    """What may be said about a job beyond its text and whom it is for.

    Attributes:
        network: whose key to use, instead of the client's network.
        channel: a label for subscribers, instead of the client's channel.
        context: ``{"url": …, "lead_details": {…}}``, either may be left out.
        job_id: its id, up to 128 bytes: the platform's own (a wamid, a MessageSid) makes a message
            that is sent twice answered once. A random one where not given.
        correlation_id: echoed on every reply; the job id where not given.
        new_conversation: of a job by user: begin a new task.
        expires_in: seconds after which it is not worth sending; it then fails as ``expired``.
    """

    network: str | None
    channel: str | None
    context: Mapping[str, Any] | None
    job_id: str | None
    correlation_id: str | None
    new_conversation: bool
    expires_in: float | None


@dataclass(frozen=True, slots=True)
class Request:
    """A job, ready to be published."""

    network: str
    channel: str
    task_id: str | None
    exchange: str
    key: str
    body: bytes
    properties: Properties

    @property
    def job_id(self) -> str:
        """Its id."""
        return self.properties.message_id or ""


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes them.

    Args:
        network: the network of a job that names none.
        channel: the channel of a job that names none.
        max_bytes: the limit of a body, as the workers have it.
    """

    network: str = DEFAULT_NETWORK
    channel: str = DEFAULT_CHANNEL
    max_bytes: int = MAX_JOB_BYTES
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def message(
        self,
        text: str,
        task_id: str | None,
        user_id: str | None,
        options: JobOptions,
        *,
        updates: str | None = None,
        reply_to: str | None = None,
        operation: Operation = Operation.SEND,
    ) -> Request:
        """Make a job that says something to the agent.

        Raises:
            InvalidRequest: naming the argument at fault.
        """
        body = {**_whom(task_id, user_id), "text": text}
        if options.get("context") is not None:
            body["context"] = options["context"]
        headers = {h.UPDATES: updates} if updates is not None else {}
        if options.get("new_conversation"):
            if user_id is None:
                raise InvalidRequest("new_conversation", "is for a job by user_id")
            headers[h.CONVERSATION] = "new"
        return self._request(operation, body, headers, options, reply_to)

    def operation(
        self, operation: Operation, body: Mapping[str, Any], options: JobOptions, reply_to: str
    ) -> Request:
        """Make a job that asks AUI for something else.

        Raises:
            InvalidRequest: naming the argument at fault.
        """
        return self._request(operation, body, {}, options, reply_to)

    def _request(
        self,
        operation: Operation,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        options: JobOptions,
        reply_to: str | None,
    ) -> Request:
        network, channel = self._place(options)
        properties = Properties(
            headers={h.CHANNEL: channel, **headers},
            content_type=JSON,
            correlation_id=_short("correlation_id", options.get("correlation_id")),
            reply_to=_short("reply_to", reply_to),
            expiration=_expiration(options.get("expires_in")),
            message_id=options.get("job_id") or uuid.uuid4().hex,
            timestamp=self.now(),
            type=operation,
        )
        raw, task_id = _json(body), body.get("task_id")
        key = slot_of(str(task_id or body.get("user_id") or ""))
        self._check(Envelope(network, raw, key, properties))
        return Request(network, channel, task_id, jobs_exchange(network), key, raw, properties)

    def _place(self, options: JobOptions) -> tuple[str, str]:
        network, channel = options.get("network"), options.get("channel")
        network = check_word("network", self.network if network is None else network)
        if network == UNSLOTTED:
            raise InvalidRequest("network", f"must not be {UNSLOTTED!r}")
        return network, check_word("channel", self.channel if channel is None else channel)

    def _check(self, envelope: Envelope) -> None:
        """Have the worker's rules say what is wrong; which ``reply_to`` it takes, only it knows."""
        rules = JobRules(max_bytes=self.max_bytes)
        reply_to = "amq." if envelope.properties.reply_to else None
        properties = replace(envelope.properties, reply_to=reply_to)
        try:
            decode(replace(envelope, properties=properties), rules, str)
        except InvalidJob as error:
            field = _ARGUMENTS.get(error.field, error.field)
            raise InvalidRequest(field, error.problem) from None


def check_word(name: str, value: object) -> str:
    """Return what may be a word of a routing key.

    Raises:
        InvalidRequest: naming the argument.
    """
    if not is_word(value):
        raise InvalidRequest(name, f"must match {WORD.pattern}, not {shown(value)}")
    return str(value)


def _whom(task_id: str | None, user_id: str | None) -> dict[str, Any]:
    if (task_id is None) == (user_id is None):
        raise InvalidRequest("task_id", "or user_id: give exactly one of them")
    return {"task_id": task_id} if task_id is not None else {"user_id": user_id}


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest("context", f"is not JSON: {error}") from None


def _short(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    size = len(value.encode("utf-8", "surrogatepass"))
    if not 0 < size <= MAX_SHORT:
        raise InvalidRequest(name, f"must have 1 to {MAX_SHORT} bytes, not {size}")
    return value


def _expiration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_EXPIRES_IN):
        raise InvalidRequest("expires_in", f"must be up to {MAX_EXPIRES_IN:.0f} s, not {seconds:g}")
    return str(max(1, round(seconds * 1000)))
