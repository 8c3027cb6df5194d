"""What to do about a dead letter, by its reason: ``show`` prints it, and the documents hold it."""

from dataclasses import dataclass

from worker.dead.head import UNKNOWN


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason asks for.

    Attributes:
        whose: whose it is to cure: the producer, AUI, the operator, the worker.
        do: what to do first.
        again: when to send the letter again.
    """

    whose: str
    do: str
    again: str


_AUI_FAILED = Advice(
    "AUI",
    "All attempts were used up. See whether AUI is well: aui-worker check.",
    "Once AUI is well.",
)
_NO_WAY = Advice(
    "the way to AUI, or AUI",
    "See whether AUI can be reached and answers in time: aui-worker check.",
    "Once it can.",
)

ADVICE: dict[str, Advice] = {
    "unauthorized": Advice(
        "the operator",
        "AUI refused the network's key: set the right one and restart the workers.",
        "Once aui-worker check says that the key is good.",
    ),
    "policy_violation": Advice(
        "AUI, or the operator",
        "AUI closed the conversation with 1008 and no word of why: the key, or what it does not"
        " allow. All letters of the network: the key. Some: ask AUI.",
        "Once the cause is gone.",
    ),
    "bad_request": Advice(
        "the producer",
        "AUI refused the message; its error says why. Mostly moderation: the user must say it"
        " otherwise. All letters of a channel: that producer's mistake.",
        "After an edit, or once AUI takes such messages.",
    ),
    "unprocessable": Advice(
        "the producer",
        "AUI could not make sense of the request; its error names the field.",
        "After an edit.",
    ),
    "client_error": Advice(
        "the producer",
        "AUI refused the request with the status shown.",
        "After an edit, or once the cause is gone.",
    ),
    "not_found": Advice(
        "the producer",
        "AUI does not know the task: the wrong network for it, or an AUI that forgot it.",
        "After an edit that names a task of this network; otherwise drop it.",
    ),
    "protocol_error": Advice(
        "AUI",
        "AUI closed the connection as it does for a mistake of protocol; tell AUI the code.",
        "Once AUI has answered.",
    ),
    "reply_too_large": Advice(
        "the operator",
        "The answer is above WORKER_MAX_REPLY_BYTES.",
        "With a higher limit.",
    ),
    "rate_limited": Advice(
        "the operator",
        "AUI asked for fewer requests, for longer than the job could wait: lower AUI_RATE_LIMIT.",
        "With --rate, below what AUI grants.",
    ),
    "upstream_error": _AUI_FAILED,
    "internal_error": _AUI_FAILED,
    "service_restart": _AUI_FAILED,
    "try_again_later": _AUI_FAILED,
    "garbage_frame": Advice(
        "AUI, or what lies between",
        "What came over the WebSocket was no JSON object: a proxy, or a fault of AUI.",
        "Once the cause is gone.",
    ),
    "connection_lost": _NO_WAY,
    "connection_failed": _NO_WAY,
    "timeout": _NO_WAY,
    "deadline_exceeded": Advice(
        "AUI, or too much load",
        "The job's time was up before an answer came: look at the attempts.",
        "Once AUI is well.",
    ),
    "expired": Advice(
        "the producer, or too much load",
        "The job waited for longer than its producer's expiration allows.",
        "Only if an answer is still wanted: sent again it does not expire.",
    ),
    "invalid_job": Advice(
        "the producer",
        "It breaks the contract of jobs; the error names the field.",
        "After an edit.",
    ),
    "internal_worker_error": Advice(
        "the worker",
        "A bug: report the traceback of the worker's log, and this letter.",
        "With a version in which it is fixed.",
    ),
    "delivery_limit": Advice(
        "the operator",
        "The broker gave it up after 21 deliveries: workers died of it, or lost their links again"
        " and again. See their exit codes and logs.",
        "If links were lost. Not if workers died of it.",
    ),
    "poison_job": Advice(
        "the operator",
        "Handed out 10 times without an end: workers died of it, or lost their links again and"
        " again. See their exit codes and logs.",
        "If links were lost. Not if workers died of it.",
    ),
    UNKNOWN: Advice(
        "whoever put it there",
        "No worker wrote it.",
        "Never: it does not say which network it is for.",
    ),
}
_NEW = Advice("the operator", "Ask aui-worker explain of the worker's version.", "With care.")


def advice_for(reason: str) -> Advice:
    """Return what to do about a reason, also one that a newer worker made up."""
    return ADVICE.get(reason, _NEW)


def markdown() -> str:
    """Write the table as the documents hold it."""
    rows = ["| reason | whose it is | what to do | when to send it again |", "|---|---|---|---|"]
    rows += [
        f"| `{reason}` | {one.whose} | {one.do} | {one.again} |" for reason, one in ADVICE.items()
    ]
    return "\n".join(rows)
