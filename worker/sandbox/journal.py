"""The store's memory in a file: it outlives `kill -9`, and a checker can read what was said.

A journal has one JSON object a line, in ASCII, written by a single `write` before anybody hears
of what it tells. Lines come in the order in which things happened, of these kinds (`…` is
what every line has, told of the first):

    {"kind": "task", "task_id": "68e7…", "user_id": "user_123",
     "at": 1773066121.25, "created_at": "2026-03-09T14:22:01.250Z"}
    {"kind": "user", …, "message_id": "68e7…", "visible_at": 1773066121.25, "text": "hi",
     "request": {"task_id": "68e7…", "text": "hi", "context": {…}}}
    {"kind": "agent", …, "message_id": "68e7…", "visible_at": 1773066121.25, "text": "I can …",
     "answers": "68e7…", "products": ["mw-pico-17"], "suggestions": ["What is …?"]}
    {"kind": "unanswered", …, "message_id": "68e7…"}

`user_id` is whose task it is. `at` is when it happened and `visible_at` when the history begins
to show it, both in seconds since 1970; `created_at` is `at` as AUI shows it. `request` is the
whole body as the user sent it, `answers` the `message_id` of the user's message, `products` ids
of the catalogue; `unanswered` is the user's message of that id, from then on and for good. What
does not end in a newline was cut off by a kill and never happened.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from worker.sandbox.catalog import PRODUCTS
from worker.sandbox.store import Store, Task, TaskMessage, written

_PRODUCTS = {product.id: product for product in PRODUCTS}


def journaled_store(
    path: Path,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Store:
    """A store with everything the journal at `path` tells, which writes there what it adds.

    The file is made when there is none; the clocks are those of `Store`. Raises OSError when it
    cannot be had, and ValueError, with the line's number, when it is no journal.
    """
    journal = Journal(path)
    store = Store(now, monotonic, keeper=journal)
    journal.replay(store)
    return store


class Journal:
    """The keeper of one store in one file, which is its own: two stores never share one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep_task(self, task: Task, at: float) -> None:
        """Writes the line of a task; OSError when it cannot be written."""
        self._append({**_head("task", task, at), "created_at": written(at)})

    def keep_message(self, task: Task, message: TaskMessage, at: float, visible_at: float) -> None:
        """Writes the line of a message; OSError when it cannot be written."""
        line = {
            **_head(message.sender, task, at),
            "created_at": message.created_at,
            "message_id": message.id,
            "visible_at": visible_at,
            "text": message.text,
        }
        if message.sender == "user":
            line["request"] = message.request
        else:
            line["answers"] = message.answers
            line["products"] = [product.id for product in message.products]
            line["suggestions"] = message.suggestions
        self._append(line)

    def keep_unanswered(self, task: Task, question: TaskMessage, at: float) -> None:
        """Writes the line of a message without an answer; OSError when it cannot be written."""
        line = {**_head("unanswered", task, at), "created_at": written(at)}
        self._append({**line, "message_id": question.id})

    def replay(self, store: Store) -> None:
        """Tells a store everything, and clears away the end that a kill has cut off."""
        for number, line in enumerate(self._whole_lines(), 1):
            try:
                _restore(store, json.loads(line))
            except (LookupError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{self._path} is no journal, see line {number}: {error!r}"
                ) from None

    def _whole_lines(self) -> Iterator[bytes]:
        with self._path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                file.truncate(len(whole))
        yield from whole.splitlines()

    def _append(self, line: Mapping[str, Any]) -> None:
        # ASCII: a request may hold half a surrogate pair, which no UTF-8 could.
        whole = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        # Opened each time, some microseconds: a sandbox that is never entered leaves no file open.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            done = os.write(file, whole)
            if done < len(whole):
                # The next line must not follow on half a line.
                os.ftruncate(file, os.fstat(file).st_size - done)
                raise OSError(f"{self._path} took {done} of {len(whole)} bytes: is the disk full?")
        finally:
            os.close(file)


def _head(kind: str, task: Task, at: float) -> dict[str, Any]:
    return {"kind": kind, "task_id": task.id, "user_id": task.user_id, "at": at}


def _restore(store: Store, line: Any) -> None:
    match line["kind"]:
        case "task":
            store.restore_task(line["task_id"], line["user_id"])
        case "unanswered":
            pass  # no history shows it
        case _:
            store.restore_message(line["task_id"], _message(line))


def _message(line: Mapping[str, Any]) -> TaskMessage:
    common: dict[str, Any] = {
        "id": line["message_id"],
        "created_at": line["created_at"],
        "text": line["text"],
        "visible_at": line["visible_at"],
    }
    match line["kind"]:
        case "user":
            return TaskMessage(sender="user", request=line["request"], **common)
        case "agent":
            return TaskMessage(
                sender="agent",
                products=tuple(_PRODUCTS[name] for name in line["products"]),
                suggestions=tuple(line["suggestions"]),
                answers=line["answers"],
                **common,
            )
        case kind:
            raise ValueError(f"unknown kind {kind!r}")
