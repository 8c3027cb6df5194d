"""The operator's resources are those of the topology, each under a name that Kubernetes takes."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, words
from worker.core.definitions import everything
from worker.core.manifests import manifests, resources
from worker.core.permissions import Bot, users
from worker.core.topology import topology

NETWORKS = ["default", "acme"]
OBJECTS = topology(NETWORKS, 2)
USERS = users(NETWORKS, [Bot("b", "acme", "sms")])
DNS = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def specs(kind: str, vhost: str = "/") -> list[dict[str, Any]]:
    """What the resources of a kind say."""
    return [one["spec"] for one in resources(OBJECTS, USERS, vhost) if one["kind"] == kind]


def test_there_is_one_for_each_entry_of_the_definitions() -> None:
    file = everything(OBJECTS, USERS)
    kinds = Counter(one["kind"] for one in resources(OBJECTS, USERS))
    assert kinds == {
        "Exchange": len(file["exchanges"]),
        "Queue": len(file["queues"]),
        "Binding": len(file["bindings"]),
        "Policy": len(file["policies"]),
        "User": len(file["users"]),
        "Permission": len(file["permissions"]),
        "TopicPermission": len(file["topic_permissions"]),
    }


def test_they_say_the_same_as_the_definitions() -> None:
    file = everything(OBJECTS, USERS, "bots")
    queues = [
        (q["name"], q["vhost"], {"x-queue-type": q["type"], **q["arguments"]})
        for q in specs("Queue", "bots")
    ]
    assert queues == [(q["name"], q["vhost"], q["arguments"]) for q in file["queues"]]
    bindings = [
        (b["source"], b["destination"], b["routingKey"], b["vhost"])
        for b in specs("Binding", "bots")
    ]
    assert bindings == [
        (b["source"], b["destination"], b["routing_key"], b["vhost"]) for b in file["bindings"]
    ]
    rights = [(p["user"], p["permissions"]) for p in specs("Permission")]
    names = ("configure", "write", "read")
    assert rights == [(p["user"], {n: p[n] for n in names}) for p in file["permissions"]]
    assert [v["name"] for v in specs("Vhost", "bots")] == ["bots"]


def test_passwords_come_from_a_secret_of_the_users_name() -> None:
    secrets = [user["importCredentialsSecret"]["name"] for user in specs("User")]
    assert secrets == [f"{user.name}-credentials" for user in USERS]


@SOME
@given(networks=st.lists(words, min_size=1, max_size=4, unique=True))
def test_each_has_a_name_of_its_own_that_kubernetes_takes(networks: list[str]) -> None:
    networks = [name for name in networks if name != "unslotted"] or ["acme"]
    people = users(networks, [Bot(f"{name}_", name) for name in networks if len(name) < 64])
    made = [
        (one["kind"], one["metadata"]["name"]) for one in resources(topology(networks, 2), people)
    ]
    assert [name for _, name in made if not DNS.fullmatch(name)] == []
    assert [one for one, count in Counter(made).items() if count > 1] == []


@pytest.mark.parametrize(
    "word", ["no", "Yes", "null", "01", "1e1", "a: b", "#", "", "^aui\\.", "~"]
)
def test_what_yaml_takes_for_something_else_is_quoted(word: str) -> None:
    (user,) = users([word])[:1]
    text = manifests(topology([], 1), [type(user)(word, "", user.configure)])
    (line,) = {line for line in text.splitlines() if line.startswith("  user: ")}
    assert line == f"  user: {json.dumps(word)}"
