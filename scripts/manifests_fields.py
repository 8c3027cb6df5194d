"""The fields of RabbitMQ's operators' resources that deploy/ uses, by kind.

Of the topology operator all fields, as its API reference has them; of the cluster operator those
that are used here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """What a field takes.

    Attributes:
        kind: its type.
        needed: it must be there.
        inner: the names it may hold, where it is an object of known ones.
    """

    kind: type
    needed: bool = False
    inner: tuple[str, ...] = ()

    def takes(self, value: Any) -> bool:
        """Tell whether a value will do."""
        if not isinstance(value, self.kind) or isinstance(value, bool) != (self.kind is bool):
            return False
        return not self.inner or (isinstance(value, dict) and set(value) <= set(self.inner))


_TEXT, _FLAG, _NUMBER, _OBJECT, _LIST = (Field(kind) for kind in (str, bool, int, dict, list))
_NAME = Field(str, needed=True)
_CLUSTER = {
    "rabbitmqClusterReference": Field(
        dict, needed=True, inner=("name", "namespace", "connectionSecret")
    )
}
_WHOSE = {"user": _TEXT, "userReference": _OBJECT, "vhost": _NAME, **_CLUSTER}

RABBITMQ: Mapping[str, Mapping[str, Field]] = {
    "Vhost": {"name": _NAME, "tags": _LIST, "tracing": _FLAG, **_CLUSTER},
    "Exchange": {
        "name": _NAME,
        "vhost": _TEXT,
        "type": _TEXT,
        "durable": _FLAG,
        "autoDelete": _FLAG,
        "arguments": _OBJECT,
        **_CLUSTER,
    },
    "Queue": {
        "name": _NAME,
        "vhost": _TEXT,
        "type": _TEXT,
        "durable": _FLAG,
        "autoDelete": _FLAG,
        "deleteIfEmpty": _FLAG,
        "deleteIfUnused": _FLAG,
        "arguments": _OBJECT,
        **_CLUSTER,
    },
    "Binding": {
        "source": _TEXT,
        "destination": _TEXT,
        "destinationType": _TEXT,
        "routingKey": _TEXT,
        "vhost": _TEXT,
        "arguments": _OBJECT,
        **_CLUSTER,
    },
    "Policy": {
        "name": _NAME,
        "pattern": _NAME,
        "definition": Field(dict, needed=True),
        "applyTo": _TEXT,
        "priority": _NUMBER,
        "vhost": _TEXT,
        **_CLUSTER,
    },
    "User": {"tags": _LIST, "importCredentialsSecret": Field(dict, inner=("name",)), **_CLUSTER},
    "Permission": {
        "permissions": Field(dict, needed=True, inner=("configure", "write", "read")),
        **_WHOSE,
    },
    "TopicPermission": {
        "permissions": Field(dict, needed=True, inner=("exchange", "write", "read")),
        **_WHOSE,
    },
    "RabbitmqCluster": {
        "replicas": _NUMBER,
        "image": _TEXT,
        "terminationGracePeriodSeconds": _NUMBER,
        "persistence": Field(dict, inner=("storage", "storageClassName")),
        "resources": _OBJECT,
        "tls": Field(dict, inner=("secretName", "caSecretName", "disableNonTLSListeners")),
        "rabbitmq": Field(
            dict, inner=("additionalConfig", "additionalPlugins", "advancedConfig", "envConfig")
        ),
        "affinity": _OBJECT,
    },
}
