"""Definitions hold everything there is, no password, and tell how they differ."""

import json
from base64 import b64decode

from worker.core.definitions import differences, everything, password_hash
from worker.core.permissions import Bot, users
from worker.core.topology import definitions, topology

OBJECTS = topology(["default"], 2)
USERS = users(["default"], [Bot("b", "default", "sms")])


def test_a_password_is_hashed_as_rabbitmq_does() -> None:
    """Its documents' own example: test12, salted with 908DC60A."""
    salt = bytes.fromhex("908DC60A")
    assert password_hash("test12", salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_what_stands_is_as_it_is_without_users() -> None:
    file = everything(OBJECTS, USERS, "bots")
    assert file | definitions(OBJECTS, "bots") == file
    assert json.loads(json.dumps(file)) == file


def test_every_user_has_rights_and_none_a_password_that_was_not_given() -> None:
    file = everything(OBJECTS, USERS, "bots", {"web": "HASH"})
    hashes = {user["name"]: user["password_hash"] for user in file["users"]}
    assert hashes == {user.name: "HASH" if user.name == "web" else "" for user in USERS}
    assert [right["user"] for right in file["permissions"]] == [user.name for user in USERS]
    vhosts = {one["vhost"] for one in file["permissions"] + file["topic_permissions"]}
    assert vhosts == {one["vhost"] for one in file["policies"]} == {"bots"}
    assert file["vhosts"] == [{"name": "bots"}]
    assert {right["user"] for right in file["topic_permissions"]} == {"bot-b", "web"}


def test_two_hashes_of_a_password_differ() -> None:
    one, other = password_hash("a", b"0000"), password_hash("a", b"0001")
    assert one != other
    assert b64decode(one)[:4] == b"0000"


def test_a_file_differs_by_what_it_lacks_and_has_but_not_by_its_hashes() -> None:
    file = everything(OBJECTS, USERS, hashes={"web": "HASH"})
    assert differences(everything(OBJECTS, USERS), file) == []

    other = json.loads(json.dumps(file))
    other["queues"].pop()
    other["permissions"][0]["write"] = ".*"
    other["parameters"] = [{"name": "shovel"}]
    told = differences(file, other)

    assert [line.partition(" {")[0] for line in told] == [
        "permissions lacks",
        "permissions has",
        "queues lacks",
        "parameters has",
    ]
    assert '"write": ".*"' in told[1]
