"""What stands on the broker is what the design says, and nothing points into the void."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, words
from worker.core.reply import ReplyKind
from worker.core.slots import slot_of
from worker.core.topology import (
    ExchangeSpec,
    definitions,
    jobs_exchange,
    network_of_queue,
    partition_queue,
    task_exchange,
    task_key,
    topology,
    unslotted,
)

PARTITIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
NETWORKS = [["default"], ["default", "acme"], ["acme", "other-1"]]
JOBS = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": "aui.dropped",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def written(networks: list[str], partitions: int = 16) -> dict[str, Any]:
    """The definitions file of these networks."""
    return definitions(topology(networks, partitions))


def named(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Objects by name; fails if two are called the same."""
    by_name = {entry["name"]: entry for entry in objects}
    assert len(by_name) == len(objects)
    return by_name


@pytest.mark.parametrize("networks", NETWORKS)
@pytest.mark.parametrize("partitions", PARTITIONS)
def test_every_binding_joins_what_is_declared(networks: list[str], partitions: int) -> None:
    file = written(networks, partitions)
    exchanges, queues = named(file["exchanges"]), named(file["queues"])
    assert {binding["source"] for binding in file["bindings"]} <= exchanges.keys()
    assert {binding["destination"] for binding in file["bindings"]} <= queues.keys()
    assert {binding["destination_type"] for binding in file["bindings"]} == {"queue"}


@pytest.mark.parametrize("networks", NETWORKS)
def test_every_exchange_that_is_named_in_an_argument_is_declared(networks: list[str]) -> None:
    file = written(networks)
    arguments = [entry["arguments"] for entry in file["exchanges"] + file["queues"]]
    pointed_to = {
        value
        for argument in arguments
        for name, value in argument.items()
        if name in ("alternate-exchange", "x-dead-letter-exchange")
    }
    assert pointed_to <= named(file["exchanges"]).keys()


def test_the_exchanges_of_the_default_network() -> None:
    exchanges = named(written(["default"])["exchanges"])
    kinds = {name: (entry["type"], entry["arguments"]) for name, entry in exchanges.items()}
    assert kinds == {
        "aui.replies": ("topic", {}),
        "aui.dead": ("topic", {}),
        "aui.dropped": ("fanout", {}),
        "aui.jobs": ("direct", {"alternate-exchange": "aui.jobs.unslotted"}),
        "aui.jobs.unslotted": ("fanout", {}),
    }
    flags = {
        (entry["durable"], entry["auto_delete"], entry["internal"]) for entry in exchanges.values()
    }
    assert flags == {(True, False, False)}


def test_the_queues_of_the_default_network() -> None:
    queues = named(written(["default"])["queues"])
    assert {name: entry["arguments"] for name, entry in queues.items()} == {
        **{f"aui.jobs.p{number:02d}": JOBS for number in range(16)},
        "aui.jobs.unslotted": JOBS,
        "aui.dead": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-message-ttl": 14 * 24 * 3600 * 1000,
        },
        "aui.dropped": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-single-active-consumer": True,
        },
        "aui.unclaimed": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000,
            "x-message-ttl": 24 * 3600 * 1000,
            "x-max-length-bytes": 256 * 1024 * 1024,
        },
    }
    assert {(entry["durable"], entry["auto_delete"]) for entry in queues.values()} == {
        (True, False)
    }


def test_a_named_network_has_objects_of_its_own_and_shares_the_rest() -> None:
    alone, both = written(["default"], 2), written(["default", "acme"], 2)
    more = {
        kind: named(both[kind]).keys() - named(alone[kind]).keys()
        for kind in ("exchanges", "queues")
    }
    assert more == {
        "exchanges": {"aui.jobs.acme", "aui.jobs.acme.unslotted"},
        "queues": {"aui.jobs.acme.p00", "aui.jobs.acme.p01", "aui.jobs.acme.unslotted"},
    }
    acme = named(both["exchanges"])["aui.jobs.acme"]
    assert acme["arguments"] == {"alternate-exchange": "aui.jobs.acme.unslotted"}


@pytest.mark.parametrize("network", ["default", "acme"])
@pytest.mark.parametrize("partitions", PARTITIONS)
def test_all_256_slots_are_bound_once_and_evenly(network: str, partitions: int) -> None:
    bindings = [
        binding
        for binding in written(["default", "acme"], partitions)["bindings"]
        if binding["source"] == jobs_exchange(network)
    ]
    assert [binding["routing_key"] for binding in bindings] == [
        f"{slot:02x}" for slot in range(256)
    ]
    to = [binding["destination"] for binding in bindings]
    assert to == [partition_queue(network, slot * partitions // 256) for slot in range(256)]
    assert set(Counter(to).values()) == {256 // partitions}


def test_what_is_no_slot_and_what_is_dropped_or_dead_has_a_queue() -> None:
    bindings = [
        (binding["source"], binding["destination"], binding["routing_key"])
        for binding in written(["default", "acme"])["bindings"]
        if binding["source"] not in ("aui.jobs", "aui.jobs.acme")
    ]
    assert bindings == [
        ("aui.dead", "aui.dead", "#"),
        ("aui.dropped", "aui.dropped", ""),
        ("aui.jobs.unslotted", "aui.jobs.unslotted", ""),
        ("aui.jobs.acme.unslotted", "aui.jobs.acme.unslotted", ""),
    ]


@pytest.mark.parametrize(
    ("network", "exchange", "queue", "strays"),
    [
        ("default", "aui.jobs", "aui.jobs.p07", "aui.jobs.unslotted"),
        ("acme", "aui.jobs.acme", "aui.jobs.acme.p07", "aui.jobs.acme.unslotted"),
    ],
)
def test_the_names_of_a_network(network: str, exchange: str, queue: str, strays: str) -> None:
    names = (jobs_exchange(network), partition_queue(network, 7), unslotted(network))
    assert names == (exchange, queue, strays)


@pytest.mark.parametrize(
    ("partition", "queue"), [(0, "aui.jobs.p00"), (99, "aui.jobs.p99"), (255, "aui.jobs.p255")]
)
def test_partitions_are_numbered_with_two_digits_at_least(partition: int, queue: str) -> None:
    assert partition_queue("default", partition) == queue


@SOME
@given(network=words.filter(lambda word: word != "unslotted"), partition=st.integers(0, 255))
@example(network="default", partition=0)
@example(network="p00", partition=0)
def test_a_queue_tells_its_network(network: str, partition: int) -> None:
    assert network_of_queue(partition_queue(network, partition)) == network
    assert network_of_queue(unslotted(network)) == network


def test_a_task_exchange_goes_when_nobody_is_bound_to_it() -> None:
    assert task_exchange("t1") == ExchangeSpec(
        "aui.task.t1", "topic", arguments={}, durable=False, auto_delete=True
    )


def test_a_task_exchange_takes_every_reply_of_its_task() -> None:
    assert task_key("acme", "t1") == "acme.*.t1.*"


def test_the_lease_key_matches_no_reply() -> None:
    assert {f"acme.sms.t1.{kind}" for kind in ReplyKind}.isdisjoint({"lease"})


def test_definitions_are_json_for_any_virtual_host() -> None:
    file = definitions(topology(["default"], 1), vhost="bots")
    assert json.loads(json.dumps(file)) == file
    entries = file["exchanges"] + file["queues"] + file["bindings"]
    assert {entry["vhost"] for entry in entries} == {"bots"}
    assert file["bindings"][0] == {
        "source": "aui.dead",
        "vhost": "bots",
        "destination": "aui.dead",
        "destination_type": "queue",
        "routing_key": "#",
        "arguments": {},
    }
    assert {entry["vhost"] for entry in written(["default"])["queues"]} == {"/"}


@SOME
@given(task_id=words)
def test_the_slot_of_every_task_is_bound(task_id: str) -> None:
    keys = {
        binding.key
        for binding in topology(["default"], 4).bindings
        if binding.exchange == "aui.jobs"
    }
    assert slot_of(task_id) in keys
