"""The contract's documents: whole, valid, the same from run to run, and what the core writes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from conforming import PUBLISHED, Seen, violation
from typer.testing import CliRunner

from worker.amqp.messages import properties_of
from worker.cli import app
from worker.contract import ASYNCAPI, documents
from worker.contract.examples import EXAMPLES, Example
from worker.contract.shapes import SHAPES
from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.core.job import Address
from worker.core.reply import Replies, Reply, ReplyKind
from worker.core.republish import AttemptRecord, Letter, copied, letter_headers, letter_key
from worker.core.slots import slot_of
from worker.core.topology import DEAD, HUB
from worker.core.update import Update
from worker.core.verdict import TABLE, Source, judge

DOCUMENTS = {path: json.loads(text) for path, text in documents().items()}
SCHEMAS = {path: schema for path, schema in DOCUMENTS.items() if path != ASYNCAPI}
NOT_OURS = {"ORIGINAL", "DELIVERY_COUNT", "DEATHS", "UNREADABLE"}
"""A prefix, the broker's own, and what stands for headers that cannot be read."""


def test_the_published_contract_is_that_of_the_models() -> None:
    said = CliRunner().invoke(app, ["schema", "--check", "--out", str(PUBLISHED)])
    assert (said.exit_code, said.output) == (0, "")


def test_what_differs_is_named(tmp_path: Path) -> None:
    """A file that is missing, one that was changed, and one of a message that is no more."""
    run = CliRunner().invoke
    assert run(app, ["schema", "--out", str(tmp_path)]).exit_code == 0
    assert run(app, ["schema", "--check", "--out", str(tmp_path)]).exit_code == 0
    (tmp_path / ASYNCAPI).unlink()
    changed = tmp_path / "schemas/jobs/task.create/body.json"
    changed.write_text(changed.read_text() + "\n")
    (tmp_path / "schemas/old.json").write_text("{}")
    (tmp_path / "README.md").write_text("mine")

    said = run(app, ["schema", "--check", "--out", str(tmp_path)])

    assert said.exit_code == 1
    assert [line.split(": ")[1].split(";")[0] for line in said.output.splitlines()] == [
        "asyncapi.json is missing",
        "schemas/jobs/task.create/body.json differs",
        "schemas/old.json is not of the contract any more, remove it",
    ]


def test_a_check_wants_a_folder() -> None:
    assert CliRunner().invoke(app, ["schema", "--check"]).exit_code == 2


def test_the_document_is_printed() -> None:
    said = CliRunner().invoke(app, ["schema"])
    assert json.loads(said.output) == DOCUMENTS[ASYNCAPI]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_documents_are_the_same_from_run_to_run(seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "worker", "schema"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode() == documents()[ASYNCAPI]


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_schema_is_valid_and_its_examples_are(path: str) -> None:
    schema = SCHEMAS[path]
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert schema["examples"]
    for example in schema["examples"]:
        validator.validate(example)


def test_the_schemas_are_those_of_the_asyncapi_document() -> None:
    """Both are written of the same models, the one with shared components."""
    document = DOCUMENTS[ASYNCAPI]
    messages = {told["name"]: told for told in document["components"]["messages"].values()}
    for shape in SHAPES:
        parts = {"body": "payload", "headers": "headers", "properties": "x-amqp-properties"}
        for part, key in parts.items():
            whole = {
                **messages[shape.name][key],
                "components": {"schemas": document["components"]["schemas"]},
            }
            shared = jsonschema_rs.canonicalize(whole, draft=jsonschema_rs.Draft202012)
            alone = jsonschema_rs.canonicalize(SCHEMAS[f"schemas/{shape.name}/{part}.json"])
            assert shared.covers(alone) is alone.covers(shared)
            assert shared.covers(alone) is jsonschema_rs.canonical.Containment.YES


def test_every_message_has_an_example() -> None:
    assert set(EXAMPLES) == {shape.name for shape in SHAPES}
    assert all(EXAMPLES.values())


def test_every_header_is_told_of() -> None:
    """A new one cannot be forgotten."""
    told = {
        name
        for path, schema in SCHEMAS.items()
        if path.endswith("headers.json")
        for name in schema["properties"]
    }
    ours = {
        value
        for name, value in vars(h).items()
        if name.isupper() and isinstance(value, str) and name not in NOT_OURS
    }
    assert told == ours


def test_every_reason_is_told_of() -> None:
    schema = SCHEMAS["schemas/replies/message.failed/headers.json"]
    told = schema["properties"]["aui-reason"]["examples"]
    assert set(told) | {"completed", "network_out"} == {row.reason for row in TABLE}


def replies() -> Iterator[Reply]:
    """All replies that the core can write, with all headers that each may have."""
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "vendor=1"}
    address = Address("acme", "j" * 128, "c1", "sms", "t1", "u" * 256, trace=trace)
    told = Replies(address, 2**31)
    for _ in range(2):
        yield told.update(Update.saying('half an emoji \\ud83d and a "quote"'))
        yield told.final(b'{"id":"m1","text":null}')
        yield told.final(b'{"id":"m1","sender":{"type":"agent"},"new":[1]}', recovered=True)
        yield told.created(b'{"id":"t1","title":null}')
        yield told.listed(b'{"tasks":[{"id":"t1"}]}')
        yield told.messages(b'[{"id":"m1","sender":{"id":null,"type":"user"}}]')
        for row in TABLE:
            code = row.codes[0][0] if row.codes else None
            yield told.failed(judge(row.source, code, detail="it went wrong"))
            yield told.retrying(judge(row.source, code), 20)
        yield told.failed(judge(Source.INVALID_JOB)).noting({h.UNCLAIMED_REASON: "unrouted"})
        told = Replies(Address("default", "j1", "j1"), 0)
        told.begin_attempt()


def test_what_the_core_writes_keeps_the_contract() -> None:
    for reply in replies():
        written = properties_of(reply)
        told = {name: getattr(written, name) for name in written.attributes()}
        told["type"] = told.pop("message_type")
        properties = {
            name: value
            for name, value in told.items()
            if value not in (None, "") and name != "headers"
        }
        on_hub = reply.address.task_id and reply.kind not in (
            ReplyKind.LISTED,
            ReplyKind.MESSAGES,
        )
        seen = Seen(HUB if on_hub else "", reply.routing_key, properties, reply.headers, reply.body)
        about_task = reply.kind in (ReplyKind.UPDATE, ReplyKind.FINAL)
        if about_task and reply.address.task_id is None:
            assert violation(seen)
        else:
            assert violation(seen) is None


def test_the_slots_told_of_are_right() -> None:
    told = re.findall(r"\| `([^`]+)` \| `([0-9a-f]{2})` \|", (PUBLISHED / "README.md").read_text())
    assert len(told) == 3
    assert all(slot_of(key) == slot for key, slot in told)


def test_a_dead_letter_keeps_the_contract() -> None:
    """Whatever the job was: here it was none."""
    attempt = AttemptRecord("2026-03-09T14:22:01+00:00", 1, "waiting", "bad_request", "x" * 2000)
    verdict = judge(Source.SERVER_CLOSE, 1008, detail="flagged")
    letter = Letter(verdict, [attempt] * 20, "\N{SMILE}" * 10_000, attempt.at, "worker-1")
    envelope = Envelope("acme", b"\xff", properties=Properties(headers={"CC": ["x"], "n": 1.5}))
    properties = copied(envelope.properties, letter_headers(letter))
    seen = Seen(
        DEAD,
        letter_key(Address("acme", "j1", "j1"), verdict.reason),
        {"message_id": "j1", "delivery_mode": 2, "timestamp": datetime.now(UTC)},
        dict(properties.headers),
        envelope.body,
    )
    assert violation(seen) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_that_is_changed_is_refused(name: str) -> None:
    """The guard of the integration tests sees each part."""
    for example in EXAMPLES[name]:
        if not name.startswith("jobs/"):
            _refused(name, example)


def _refused(name: str, example: Example) -> None:
    exchange = DEAD if name.startswith("letters/") else ""
    good: dict[str, Any] = {
        "exchange": exchange,
        "routing_key": "acme.sms.t1." + str(example.headers.get(h.DEAD_REASON)),
        "properties": example.properties,
        "headers": example.headers,
        "body": json.dumps(example.body).encode(),
    }
    assert violation(Seen(**good)) is None
    missing = h.DEAD_AT if exchange else h.ATTEMPT
    headers = {name: value for name, value in example.headers.items() if name != missing}
    assert violation(Seen(**good | {"headers": headers}))
    assert violation(Seen(**good | {"properties": {}}))
    if exchange:
        assert violation(Seen(**good | {"routing_key": "acme.sms.t1.other"}))
    else:
        assert violation(Seen(**good | {"body": b"1"}))
        assert violation(Seen(**good | {"body": b"{"}))
        assert violation(Seen(**good | {"exchange": HUB}))
