"""What each ending of a turn means: the verdict table, as data.

The first row whose source and code match wins. ``aui-worker explain`` prints this table, the
retry loop and the dead letters obey it, and no other module holds a rule about codes.

Sources: close codes from AUI's WebSocket page ("1008 Authentication failure or application
error", "1011 Internal server error") and RFC 6455 section 7.4; HTTP status codes from AUI's
error pages and RFC 9110.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What to do with the job: finish it, dead-letter it, try again, or leave it in its queue."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    INTERRUPTED = "interrupted"
    POSTPONED = "postponed"


class Source(StrEnum):
    """Where the evidence for a verdict comes from."""

    FINAL = "final message"
    STATUS = "error frame or HTTP status"
    SERVER_CLOSE = "server close"
    LOCAL_CLOSE = "local close"
    CONNECTION_LOST = "connection lost"
    CONNECTION_FAILED = "no connection"
    CONNECT_TIMEOUT = "connect timeout"
    FIRST_TEXT_TIMEOUT = "first-text timeout"
    IDLE_TIMEOUT = "idle timeout"
    GARBAGE_FRAME = "garbage frame"
    BUG = "a bug of ours"
    DEADLINE = "job deadline passed"
    INVALID_JOB = "not a job"
    DELIVERY_LIMIT = "delivery limit"
    EXPIRED = "expired in the queue"
    POISON = "delivered 10 times without an end"
    NETWORK_OUT = "network browned out"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the verdict table; no ``codes`` means any code."""

    source: Source
    codes: tuple[range, ...]
    kind: Kind
    reason: str
    note: str = ""

    def matches(self, source: Source, code: int | None) -> bool:
        """Tell whether this row judges that evidence."""
        if source is not self.source:
            return False
        return not self.codes or any(code in codes for codes in self.codes)


def _one(code: int) -> range:
    return range(code, code + 1)


TABLE: tuple[Row, ...] = (
    Row(Source.FINAL, (), Kind.COMPLETED, "completed", "whatever comes after it"),
    Row(
        Source.SERVER_CLOSE,
        (_one(1008),),
        Kind.REJECTED,
        "policy_violation",
        "whatever the frame before it, whose reason is taken if one came",
    ),
    Row(Source.STATUS, (_one(429),), Kind.INTERRUPTED, "rate_limited", "Retry-After is obeyed"),
    Row(
        Source.STATUS,
        (_one(408), _one(425), range(500, 600)),
        Kind.INTERRUPTED,
        "upstream_error",
        "Retry-After is obeyed; beyond the deadline it rejects at once",
    ),
    Row(
        Source.STATUS,
        (_one(401), _one(403)),
        Kind.REJECTED,
        "unauthorized",
    ),
    Row(Source.STATUS, (_one(400),), Kind.REJECTED, "bad_request", "moderation included"),
    Row(Source.STATUS, (_one(404),), Kind.REJECTED, "not_found"),
    Row(Source.STATUS, (_one(422),), Kind.REJECTED, "unprocessable"),
    Row(Source.STATUS, (range(400, 500),), Kind.REJECTED, "client_error", "every other 4xx"),
    Row(Source.STATUS, (), Kind.INTERRUPTED, "upstream_error", "a status that makes no sense"),
    Row(Source.SERVER_CLOSE, (_one(1011),), Kind.INTERRUPTED, "internal_error"),
    Row(Source.SERVER_CLOSE, (_one(1012),), Kind.INTERRUPTED, "service_restart"),
    Row(Source.SERVER_CLOSE, (_one(1013),), Kind.INTERRUPTED, "try_again_later"),
    Row(
        Source.SERVER_CLOSE,
        (_one(1003), _one(1007), _one(1009), _one(1010), range(4000, 5000)),
        Kind.REJECTED,
        "protocol_error",
    ),
    Row(
        Source.SERVER_CLOSE,
        (),
        Kind.INTERRUPTED,
        "connection_lost",
        "1000, 1001, 1005 and 1006 before the final, and every other code",
    ),
    Row(
        Source.LOCAL_CLOSE,
        (_one(1009),),
        Kind.REJECTED,
        "reply_too_large",
        "the answer is above WORKER_MAX_REPLY_BYTES",
    ),
    Row(
        Source.LOCAL_CLOSE,
        (),
        Kind.INTERRUPTED,
        "connection_lost",
        "1011 when no keepalive pong came: the client library's own code, never AUI's",
    ),
    Row(Source.CONNECTION_LOST, (), Kind.INTERRUPTED, "connection_lost", "reset, cut"),
    Row(
        Source.CONNECTION_FAILED,
        (),
        Kind.INTERRUPTED,
        "connection_failed",
        "DNS, TLS, refused, proxy",
    ),
    Row(Source.CONNECT_TIMEOUT, (), Kind.INTERRUPTED, "timeout", "WORKER_CONNECT_TIMEOUT"),
    Row(Source.FIRST_TEXT_TIMEOUT, (), Kind.INTERRUPTED, "timeout", "WORKER_FIRST_TEXT_TIMEOUT"),
    Row(Source.IDLE_TIMEOUT, (), Kind.INTERRUPTED, "timeout", "WORKER_IDLE_TIMEOUT"),
    Row(Source.GARBAGE_FRAME, (), Kind.INTERRUPTED, "garbage_frame", "not a JSON object"),
    Row(Source.BUG, (), Kind.REJECTED, "internal_worker_error"),
    Row(Source.DEADLINE, (), Kind.REJECTED, "deadline_exceeded", "WORKER_JOB_DEADLINE"),
    Row(Source.INVALID_JOB, (), Kind.REJECTED, "invalid_job"),
    Row(Source.DELIVERY_LIMIT, (), Kind.REJECTED, "delivery_limit", "dropped by the broker"),
    Row(Source.EXPIRED, (), Kind.REJECTED, "expired", "the job's expiration"),
    Row(Source.POISON, (), Kind.REJECTED, "poison_job", "workers die of it, or cannot settle it"),
    Row(
        Source.NETWORK_OUT,
        (),
        Kind.POSTPONED,
        "network_out",
        "the job waits in its queue, and no attempt is counted",
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of one ending.

    Attributes:
        kind: completed, rejected, interrupted or postponed.
        reason: a word of the verdict table.
        source: where the evidence came from.
        code: the close code or HTTP status that decided, where there is one.
        status_code: the status of AUI's error frame or HTTP response, if any.
        close_code: the close code the server sent, if any.
        detail: one line for people; redacted by whoever brought the evidence.
        error: AUI's error payload as JSON (redacted), if one came.
        retry_after: seconds AUI asked to wait, if it did.
    """

    kind: Kind
    reason: str
    source: Source
    code: int | None = None
    status_code: int | None = None
    close_code: int | None = None
    detail: str = ""
    error: bytes | None = field(default=None, repr=False)
    retry_after: float | None = None


def row_for(source: Source, code: int | None = None) -> Row:
    """Return the first row of the table that judges this evidence (every source has one)."""
    return next(row for row in TABLE if row.matches(source, code))


def judge(
    source: Source,
    code: int | None = None,
    *,
    detail: str = "",
    error: bytes | None = None,
    retry_after: float | None = None,
) -> Verdict:
    """Judge one piece of evidence by the table."""
    row = row_for(source, code)
    return Verdict(
        kind=row.kind,
        reason=row.reason,
        source=source,
        code=code,
        status_code=code if source is Source.STATUS else None,
        close_code=code if source is Source.SERVER_CLOSE else None,
        detail=detail,
        error=error,
        retry_after=retry_after,
    )


COMPLETED = judge(Source.FINAL)
POSTPONED = judge(Source.NETWORK_OUT)
