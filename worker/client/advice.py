"""What to tell a user whose message was not answered, by the reason on the ``failed``."""

from typing import Literal

from worker.core.verdict import TABLE, Kind

Advice = Literal["rephrase", "try_later", "operator"]
"""``rephrase``: AUI refused what the user said. ``try_later``: the same message may well be
answered later. ``operator``: neither helps; somebody has to look into it."""

_OF_REJECTED: dict[str, Advice] = {
    "bad_request": "rephrase",
    "unprocessable": "rephrase",
    "reply_too_large": "rephrase",
    "deadline_exceeded": "try_later",
    "expired": "try_later",
    "policy_violation": "operator",
    "unauthorized": "operator",
    "not_found": "operator",
    "client_error": "operator",
    "protocol_error": "operator",
    "internal_worker_error": "operator",
    "invalid_job": "operator",
    "delivery_limit": "operator",
    "poison_job": "operator",
}
_OF: dict[str, Advice] = _OF_REJECTED | {
    row.reason: "try_later" for row in TABLE if row.kind in (Kind.INTERRUPTED, Kind.POSTPONED)
}


def advice_for(reason: str) -> Advice:
    """Return the advice for a reason; ``operator`` for one that a newer worker made up."""
    return _OF.get(reason, "operator")


def advised(reason: str) -> bool:
    """Tell whether a reason has been thought about."""
    return reason in _OF
