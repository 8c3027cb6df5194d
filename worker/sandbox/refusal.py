"""The refusals the sandbox hands out, before a dialect or a door gives them their final shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came in, as AUI reports it in `extra_data`.

    `path` is the path behind the deployment's prefix and `query` the real query string, key
    included: AUI echoes it, so a client that logs the payload leaks its key.
    """

    method: str
    path: str
    query: str


@dataclass(frozen=True, slots=True)
class FieldError:
    """One entry of a 422 body: where (`["body", "task_id"]`), what, and its machine name."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    def as_json(self) -> dict[str, Any]:
        """The entry as both documents' 422 samples show it."""
        return {"loc": list(self.loc), "msg": self.msg, "type": self.type}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request is not served: an HTTP status and AUI's words for it.

    `errors` is filled for a 422 only; `extra` goes into `extra_data`; `retry_after` is in
    seconds.
    """

    status: int
    message: str
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None

    def payload(self, origin: Origin) -> dict[str, Any]:
        """AUI's application error (seed 002 "Application Errors", seed 004 "Error Handling")."""
        extra: dict[str, Any] = {
            "method": origin.method,
            "path": origin.path,
            "query": origin.query,
            **self.extra,
        }
        if self.errors:
            extra["errors"] = [error.as_json() for error in self.errors]
        if self.retry_after is not None:
            extra["retry_after"] = self.retry_after
        return {
            "status_code": self.status,
            "description": self.description or phrase_of(self.status),
            "message": self.message,
            "extra_data": extra,
        }

    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with it: `Retry-After`, when there is one."""
        return {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}


class Refused(Exception):
    """A request that ends in `failure` instead of an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


UNAUTHORIZED = Failure(401, "Invalid API key", description="Not authenticated")
"""Seed 004's sample: a missing key and a wrong one look the same."""

MODERATION = Failure(
    400,
    "LLM service failed to process request due to content moderation policy violation",
    extra={"moderation_result": "flagged", "policy_violation": "inappropriate_content"},
)
"""Seed 002's sample of an application error."""

INTERNAL = Failure(500, "The agent failed to answer")


def of_status(status: int, retry_after: float | None = None) -> Failure:
    """The failure an HTTP status stands for, with AUI's own words where a document has them."""
    known = {401: UNAUTHORIZED, 400: MODERATION, 500: INTERNAL}.get(status)
    if known is not None:
        return Failure(
            known.status, known.message, known.description, known.extra, retry_after=retry_after
        )
    return Failure(status, f"The sandbox was told to answer {status}", retry_after=retry_after)


def invalid(errors: tuple[FieldError, ...]) -> Failure:
    """A 422: every field error, and a sentence that names them."""
    named = "; ".join(f"{'.'.join(map(str, error.loc))}: {error.msg}" for error in errors)
    return Failure(422, named, errors=errors)


def no_such_task(task_id: str) -> Failure:
    """A 404 for a task id the store does not know."""
    return Failure(404, "Task not found", extra={"task_id": task_id})


def phrase_of(status: int) -> str:
    """The reason phrase of a status, or `Error` for one HTTP has no phrase for."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
