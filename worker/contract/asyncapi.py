"""The AsyncAPI document of the contract."""

from collections.abc import Mapping
from typing import Any

from worker.contract.channels import BINDING, channels, routing_key
from worker.contract.examples import examples_of
from worker.contract.operations import operations
from worker.contract.schemas import components
from worker.contract.shapes import SHAPES, Group, Shape
from worker.core.job_properties import MAX_HEADER_BYTES, JobRules
from worker.core.reply import SCHEMA

VERSION = "3.0.0"
_DESCRIPTION = f"""\
AUI's agents behind RabbitMQ: a job in, streamed replies out. Bodies are AUI's own JSON, all else
is AMQP 0-9-1 properties and headers. The document is the worker's: what it receives is what you
publish, what it sends is what you subscribe to.

What a schema cannot say: sizes are in bytes of UTF-8 (a body {JobRules().max_bytes}, all headers
{MAX_HEADER_BYTES}), a body is valid UTF-8 without half surrogates, repeated names, NaN or numbers
beyond a 64-bit float, and a whole number has no fraction, not even ".0".

Be ready for more: further fields, headers, reasons and types may come without a new version.
Ignore those you don't know.
"""


def asyncapi_document() -> dict[str, Any]:
    """Return the whole document."""
    parts, hoisted = components(SHAPES)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "AUI worker",
            "version": f"{SCHEMA}.0.0",
            "description": _DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "Your RabbitMQ.",
                "variables": {"host": {"default": "localhost:5672"}},
            }
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": {shape.identifier: _message(shape, parts) for shape in SHAPES},
            "schemas": hoisted,
        },
    }


def _message(shape: Shape, parts: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    letter = shape.group is Group.LETTER
    return {
        "name": shape.name,
        "title": f"{shape.group.name.title()} {shape.word}",
        "summary": shape.says,
        "contentType": "application/octet-stream" if letter else "application/json",
        "payload": parts[shape.name, "body"],
        "headers": parts[shape.name, "headers"],
        "correlationId": {
            "location": "$message.header#/correlation_id",
            "description": "The AMQP property correlation_id, not a header.",
        },
        "bindings": {
            "amqp": {} if letter else {"messageType": shape.word, "bindingVersion": BINDING}
        },
        **({"x-routing-key": routing_key(shape)} if routing_key(shape) else {}),
        "x-amqp-properties": parts[shape.name, "properties"],
        "examples": [
            {"summary": example.says, "headers": dict(example.headers), "payload": example.body}
            for example in examples_of(shape)
        ],
    }
