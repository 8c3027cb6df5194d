"""RabbitMQ's ``definitions.json``: the topology, its users, their rights; and how two differ.

RabbitMQ keeps no password, only a salted hash. A user without one cannot log in with a password.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from worker.core.permissions import User
from worker.core.topology import Topology, definitions

SALT_BYTES = 4
HASHING = "rabbit_password_hashing_sha256"
SUBSCRIBER_MAX_BYTES = 256 * 1024 * 1024
SUBSCRIBER_EXPIRES_MS = 14 * 24 * 3600 * 1000
POLICIES: Sequence[Mapping[str, Any]] = [
    {
        # A durable queue whose subscriber has gone for good would fill the disk, and a full disk
        # stops everybody. Its oldest replies go first: to refuse new ones would have the workers
        # publish them again, to all other subscribers, too.
        "name": "aui-subscribers",
        "pattern": r"^sub\.",
        "apply-to": "queues",
        "priority": 0,
        "definition": {
            "max-length-bytes": SUBSCRIBER_MAX_BYTES,
            "overflow": "drop-head",
            "expires": SUBSCRIBER_EXPIRES_MS,
        },
    },
]


def password_hash(password: str, salt: bytes) -> str:
    """Return what RabbitMQ keeps of a password.

    Args:
        password: it.
        salt: :data:`SALT_BYTES` random bytes.
    """
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def everything(
    objects: Topology,
    users: Sequence[User],
    vhost: str = "/",
    hashes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write a topology and those who may use it as a RabbitMQ definitions file.

    Args:
        objects: what stands on the broker.
        users: who may use it.
        vhost: the virtual host of all of it.
        hashes: password hashes by user name; who has none cannot log in with a password.
    """
    known = hashes or {}
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(user, known.get(user.name, "")) for user in users],
        "permissions": [
            {
                "user": user.name,
                "vhost": vhost,
                "configure": user.configure,
                "write": user.write,
                "read": user.read,
            }
            for user in users
        ],
        "topic_permissions": [
            {
                "user": user.name,
                "vhost": vhost,
                "exchange": right.exchange,
                "write": right.write,
                "read": right.read,
            }
            for user in users
            for right in user.topics
        ],
        "policies": [{"vhost": vhost, **policy} for policy in POLICIES],
        **definitions(objects, vhost),
    }


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return how a definitions file differs from what it should be, a line each.

    The hashes of passwords are left out: they are other ones each time, and nobody's business.
    """
    told = []
    for section in dict.fromkeys([*wanted, *found]):
        should, does = _written(wanted.get(section)), _written(found.get(section))
        told += [f"{section} lacks {entry}" for entry in should if entry not in does]
        told += [f"{section} has {entry}" for entry in does if entry not in should]
    return told


def _user(user: User, hashed: str) -> dict[str, Any]:
    return {
        "name": user.name,
        "password_hash": hashed,
        "hashing_algorithm": HASHING,
        "tags": list(user.tags),
        "limits": {},
    }


def _written(section: object) -> dict[str, None]:
    entries = section if isinstance(section, list) else [section] if section else []
    return {json.dumps(_shown(entry), sort_keys=True): None for entry in entries}


def _shown(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    return {name: value for name, value in entry.items() if name != "password_hash"}
