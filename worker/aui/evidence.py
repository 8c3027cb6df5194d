"""Translates what httpx and websockets raise into evidence for the verdict table.

Foreign exceptions end here: their texts can hold the URL with the key, so none is passed on
unredacted, and none is chained.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from websockets.exceptions import ConnectionClosed

from worker.core.redact import Redactor
from worker.core.turn import Turn
from worker.core.verdict import Source, Verdict, judge
from worker.core.wire import read_failure


def take_close(turn: Turn, closed: ConnectionClosed, redactor: Redactor) -> None:
    """Tell a turn how its WebSocket ended.

    Only a close frame that the server sent first is the server's word: the client library sends
    1011 itself when a keepalive pong stays out, and 1009 when a message is too large.
    """
    if closed.rcvd is not None and closed.rcvd_then_sent is not False:
        turn.closed_by_server(closed.rcvd.code, redactor.text(closed.rcvd.reason))
    elif closed.sent is not None:
        turn.ended(
            Source.LOCAL_CLOSE, closed.sent.code, f"closed by us: {closed.sent.reason or 'no word'}"
        )
    else:
        turn.ended(Source.CONNECTION_LOST, detail="the connection was cut without a close frame")


def of_response(
    status: int, body: bytes, retry_after: str | None, now: float, redactor: Redactor
) -> Verdict:
    """Judge an HTTP response that is no success.

    Args:
        status: its status code.
        body: its body, in any of AUI's error shapes or none.
        retry_after: its Retry-After header (seconds or an HTTP date, RFC 9110 section 10.2.3).
        now: seconds since 1970.
        redactor: takes the key out of what AUI echoes.
    """
    failure = read_failure(redactor.data(body), status)
    return judge(
        Source.STATUS,
        status,
        detail=failure.message,
        error=failure.payload,
        retry_after=_seconds(retry_after, now),
    )


def time_of(date: str | None) -> float | None:
    """Read an HTTP date (``Date``, ``Retry-After``) as seconds since 1970; None if it is none."""
    if date is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    # An HTTP date is in UTC, also where it does not say so (RFC 9110 section 5.6.7).
    in_utc = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return in_utc.timestamp()


def described(error: BaseException, redactor: Redactor) -> str:
    """Say in one redacted line what a foreign exception says.

    An error about a proxy is only named: its text may hold the proxy's URL and password.
    """
    if "Proxy" in type(error).__name__:
        return type(error).__name__
    words = str(error) or (str(error.__cause__) if error.__cause__ else "")
    return redactor.text(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def _seconds(retry_after: str | None, now: float) -> float | None:
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    date = time_of(retry_after)
    return None if date is None else max(0.0, date - now)
