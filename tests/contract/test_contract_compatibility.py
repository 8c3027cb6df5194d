"""A change that would break a program of somebody else fails here.

``baseline/<version>`` is the contract as it was last released: ``aui-worker schema --out`` writes
it, at a release and at no other time.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compatibility import broken, read

from worker.contract import documents
from worker.core.reply import SCHEMA

BASELINE = Path(__file__).parent / "baseline" / str(SCHEMA)
Mutation = Callable[[dict[str, Any]], object]
WRITTEN = documents()


def contract() -> dict[str, Any]:
    """The contract as it is now."""
    return {path: json.loads(text) for path, text in WRITTEN.items()}


def part(name: str, which: str = "body") -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The schema of a part of a message."""
    return lambda documents: documents[f"schemas/{name}/{which}.json"]


job_body, job_headers = part("jobs/message.send"), part("jobs/message.send", "headers")
job_properties, listing = part("jobs/message.send", "properties"), part("jobs/task.list")
update, final = part("replies/message.updated"), part("replies/message.completed")
failed, failed_headers = part("replies/message.failed"), part("replies/message.failed", "headers")
final_headers = part("replies/message.completed", "headers")
update_properties = part("replies/message.updated", "properties")
letter = part("letters/dead", "headers")


def asyncapi(documents: dict[str, Any]) -> dict[str, Any]:
    """The AsyncAPI document."""
    found: dict[str, Any] = documents["asyncapi.json"]
    return found


BREAKING: dict[str, Mutation] = {
    # What subscribers read.
    "a required property may be missing": lambda d: final(d)["required"].remove("id"),
    "a required property is renamed": lambda d: (
        update(d)["properties"].update(payload=update(d)["properties"].pop("data")),
        update(d)["required"].remove("data"),
        update(d)["required"].append("payload"),
    ),
    "an optional property is gone": lambda d: final(d)["properties"].pop("cards"),
    "a property of any type is gone": lambda d: failed(d)["properties"].pop("extra_data"),
    "a nested property is gone": lambda d: final(d)["$defs"]["Party"]["properties"].pop("email"),
    "a type is looser": lambda d: failed(d)["properties"]["message"].update(
        type=["string", "null"]
    ),
    "an item's type is looser": lambda d: final(d)["properties"]["followup_suggestions"].update(
        anyOf=[{"type": "array"}, {"type": "null"}]
    ),
    "a header may be missing": lambda d: failed_headers(d)["required"].remove("aui-reason"),
    "a header is renamed": lambda d: final_headers(d)["properties"].update(
        {"aui-from-history": final_headers(d)["properties"].pop("aui-recovered")}
    ),
    "a number starts lower": lambda d: final_headers(d)["properties"]["aui-seq"].update(minimum=0),
    "the schema's version": lambda d: final_headers(d)["properties"]["aui-schema"].update(const=2),
    "a type property": lambda d: update_properties(d)["properties"]["type"].update(const="update"),
    "a pattern is looser": lambda d: final_headers(d)["properties"]["aui-task-id"].update(
        pattern="^[A-Za-z0-9_.-]{1,64}$"
    ),
    "updates are persistent": lambda d: update_properties(d)["properties"]["delivery_mode"].update(
        const=2
    ),
    "a header of a dead letter": lambda d: letter(d)["properties"].pop("aui-dead-text"),
    # What producers send.
    "one more property is required": lambda d: job_body(d)["$defs"]["JobByTask"]["required"].append(
        "user_id"
    ),
    "a new property is required": lambda d: (
        listing(d)["properties"].update(network={"type": "string"}),
        listing(d)["required"].append("network"),
    ),
    "a header is required": lambda d: job_headers(d).update(required=["aui-channel"]),
    "a pattern is tighter": lambda d: job_headers(d)["properties"]["aui-channel"].update(
        pattern="^[a-z]{1,64}$"
    ),
    "a limit is tighter": lambda d: job_properties(d)["properties"]["message_id"].update(
        maxLength=64
    ),
    "a page is smaller": lambda d: listing(d)["properties"]["size"].update(maximum=50),
    "null is not taken any more": lambda d: job_body(d)["$defs"]["JobByTask"]["properties"].update(
        context={"$ref": "#/$defs/Context"}
    ),
    "a value is not taken any more": lambda d: job_headers(d)["properties"][
        "aui-conversation"
    ].update(enum=["latest"]),
    "a header is not known any more": lambda d: job_headers(d)["properties"].pop("aui-updates"),
    "a property is not known any more": lambda d: job_properties(d)["properties"].pop("reply_to"),
    "further fields are refused": lambda d: job_body(d)["$defs"]["JobByUser"].update(
        additionalProperties=False
    ),
    "one way to ask is gone": lambda d: job_body(d).update(anyOf=[{"$ref": "#/$defs/JobByTask"}]),
    # Where it all goes.
    "a message is gone": lambda d: d.pop("schemas/replies/task.listed/body.json"),
    "a routing key": lambda d: asyncapi(d)["channels"]["replies"].update(
        address="{network}.{task_id}.{channel}.{kind}"
    ),
    "an exchange": lambda d: asyncapi(d)["channels"]["replies"]["bindings"]["amqp"][
        "exchange"
    ].update(name="aui.answers"),
    "a durable exchange": lambda d: asyncapi(d)["channels"]["jobs"]["bindings"]["amqp"][
        "exchange"
    ].update(durable=False),
    "a channel": lambda d: asyncapi(d)["channels"].pop("taskReplies"),
    "a message of a channel": lambda d: asyncapi(d)["channels"]["replies"]["messages"].pop(
        "messageRetryingReply"
    ),
    "a kind": lambda d: asyncapi(d)["channels"]["replies"]["parameters"]["kind"]["enum"].remove(
        "retrying"
    ),
    "an operation": lambda d: asyncapi(d)["operations"].pop("postMessage"),
    "the direction of an operation": lambda d: asyncapi(d)["operations"]["postMessage"].update(
        action="send"
    ),
    "an answer": lambda d: asyncapi(d)["operations"]["createTask"]["reply"]["messages"].pop(),
    "where answers go": lambda d: asyncapi(d)["operations"]["createTask"]["reply"][
        "address"
    ].update(location="$message.header#/aui-reply-to"),
    "what is mandatory": lambda d: asyncapi(d)["operations"]["publishFinal"]["bindings"][
        "amqp"
    ].update(mandatory=False),
    "an AMQP type": lambda d: asyncapi(d)["components"]["messages"]["messageCompletedReply"][
        "bindings"
    ]["amqp"].update(messageType="final"),
    "a message's own key": lambda d: asyncapi(d)["components"]["messages"][
        "taskCreatedReply"
    ].update({"x-routing-key": "{network}.{channel}.{task_id}.new"}),
    "a content type": lambda d: asyncapi(d)["components"]["messages"][
        "messageCompletedReply"
    ].update(contentType="application/cloudevents+json"),
}
ADDITIVE: dict[str, Mutation] = {
    "nothing": lambda d: None,
    "a property of a reply": lambda d: final(d)["properties"].update(url={"type": "string"}),
    "a required property of a reply": lambda d: (
        update(d)["properties"].update(at={"type": "number"}),
        update(d)["required"].append("at"),
    ),
    "a header of a reply": lambda d: final_headers(d)["properties"].update(
        {"aui-worker": {"type": "string"}}
    ),
    "an optional property is always there": lambda d: final(d)["required"].append("text"),
    "a reply's type is tighter": lambda d: failed(d)["properties"]["status_code"].update(
        type="integer"
    ),
    "a further reason": lambda d: failed_headers(d)["properties"]["aui-reason"]["examples"].append(
        "tired"
    ),
    "an optional property of a job": lambda d: job_body(d)["$defs"]["JobByTask"][
        "properties"
    ].update(image_url={"type": "string"}),
    "an optional header of a job": lambda d: job_headers(d)["properties"].update(
        {"aui-priority": {"enum": ["high", "low"]}}
    ),
    "a limit of a job is wider": lambda d: listing(d)["properties"]["size"].update(maximum=500),
    "a further value is taken": lambda d: job_headers(d)["properties"]["aui-conversation"][
        "enum"
    ].append("best"),
    "a property of a job may be missing": lambda d: listing(d)["required"].remove("user_id"),
    "one more way to ask": lambda d: job_body(d)["anyOf"].append(
        {"type": "object", "required": ["thread_id", "text"]}
    ),
    "a description": lambda d: final(d).update(description="What the agent says."),
    "a message": lambda d: asyncapi(d)["components"]["messages"].update(taskDeletedReply={}),
    "a message of a channel": lambda d: asyncapi(d)["channels"]["replies"]["messages"].update(
        taskDeletedReply={}
    ),
    "a kind": lambda d: asyncapi(d)["channels"]["replies"]["parameters"]["kind"]["enum"].append(
        "deleted"
    ),
    "an operation": lambda d: asyncapi(d)["operations"].update(deleteTask={"action": "receive"}),
    "a schema": lambda d: d.update({"schemas/jobs/task.delete/body.json": {"type": "object"}}),
}


def test_the_contract_keeps_what_was_released() -> None:
    """If it is meant to break, that is another contract: raise SCHEMA in worker.core.reply."""
    assert broken(read(BASELINE), contract()) == []


@pytest.mark.parametrize("mutation", BREAKING)
def test_a_breaking_change_is_found(mutation: str) -> None:
    changed = contract()
    BREAKING[mutation](changed)
    assert broken(contract(), changed)


@pytest.mark.parametrize("mutation", ADDITIVE)
def test_an_additive_change_is_none(mutation: str) -> None:
    changed = contract()
    ADDITIVE[mutation](changed)
    assert broken(contract(), changed) == []


def test_a_breaking_change_is_named() -> None:
    """Whoever reads it knows which file and which place."""
    changed = contract()
    BREAKING["a pattern is tighter"](changed)
    (said,) = broken(contract(), changed)
    assert said == (
        "schemas/jobs/message.send/headers.json refuses what it took: "
        "/properties/aui-channel/pattern"
    )
