"""The topology, its users and their rights as resources of RabbitMQ's topology operator.

The operator has no resource for a password: each user's name and password come from a Secret that
is called as the user with ``-credentials`` behind it, and holds ``username`` and ``password``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

from worker.core.definitions import POLICIES
from worker.core.permissions import User
from worker.core.topology import Topology

API = "rabbitmq.com/v1beta1"
CLUSTER = "rabbitmq"
"""The name of the RabbitmqCluster that all of it is made in."""
_QUEUE_TYPE = "x-queue-type"
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_NO_STRINGS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Words that one version of YAML or another takes for something else."""


def manifests(objects: Topology, users: Sequence[User], vhost: str = "/") -> str:
    """Write everything as YAML, one document a resource."""
    written = ("\n".join(_lines(one)) for one in resources(objects, users, vhost))
    return "".join(f"---\n{one}\n" for one in written)


def resources(
    objects: Topology, users: Sequence[User], vhost: str = "/"
) -> Iterator[dict[str, Any]]:
    """Yield everything as the operator's resources."""
    there = {"vhost": vhost}
    if vhost != "/":
        yield _resource("Vhost", vhost, {"name": vhost})
    for exchange in objects.exchanges:
        spec = {"name": exchange.name, "type": exchange.type, "durable": exchange.durable}
        spec |= {"autoDelete": exchange.auto_delete, **_arguments(exchange.arguments)}
        yield _resource("Exchange", exchange.name, spec | there)
    for queue in objects.queues:
        spec = {"name": queue.name, "type": queue.arguments[_QUEUE_TYPE], "durable": True}
        spec |= {"autoDelete": False, **_arguments(queue.arguments)}
        yield _resource("Queue", queue.name, spec | there)
    for binding in objects.bindings:
        spec = {"source": binding.exchange, "destination": binding.queue}
        spec |= {"destinationType": "queue", "routingKey": binding.key}
        key = binding.key.replace("#", "") or "all"
        yield _resource("Binding", f"{binding.queue}.{key}", spec | there)
    for policy in POLICIES:
        spec = {"name": policy["name"], "pattern": policy["pattern"]}
        spec |= {"applyTo": policy["apply-to"], "definition": policy["definition"]}
        yield _resource("Policy", policy["name"], spec | there)
    for user in users:
        yield from _of_user(user, vhost)


def _of_user(user: User, vhost: str) -> Iterator[dict[str, Any]]:
    secret = {"name": f"{_named(user.name)}-credentials"}
    yield _resource("User", user.name, {"tags": list(user.tags), "importCredentialsSecret": secret})
    rights = {"configure": user.configure, "write": user.write, "read": user.read}
    spec = {"user": user.name, "vhost": vhost}
    yield _resource("Permission", user.name, {**spec, "permissions": rights})
    for topic in user.topics:
        keys = {"exchange": topic.exchange, "write": topic.write, "read": topic.read}
        name = f"{user.name}.{topic.exchange}"
        yield _resource("TopicPermission", name, {**spec, "permissions": keys})


def _resource(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": kind,
        "metadata": {"name": _named(name)},
        "spec": {**spec, "rabbitmqClusterReference": {"name": CLUSTER}},
    }


def _arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in arguments.items() if name != _QUEUE_TYPE}
    return {"arguments": kept} if kept else {}


def _named(name: str) -> str:
    """Return a name as Kubernetes allows it; another one for each name."""
    if _SUBDOMAIN.fullmatch(name):
        return name
    words = re.findall("[a-z0-9]+", name.lower())
    return "-".join([*words, f"{crc32(name.encode()):08x}"])


def _lines(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, one in value.items():
        if isinstance(one, Mapping) and one:
            yield f"{indent}{name}:"
            yield from _lines(one, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_scalar(one)}"


def _scalar(value: object) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NO_STRINGS
    return str(value) if plain else json.dumps(value)
