"""What a worker is given of the settings, and how it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from worker.aui.network import BASE_URLS, Network
from worker.aui.trust import SYSTEM, Trust
from worker.core.body import is_word
from worker.core.errors import ConfigurationError
from worker.core.topology import DEFAULT_NETWORK, UNSLOTTED
from worker.relay.places import Limits
from worker.settings.fields import unusable
from worker.settings.model import AmqpSettings, AuiSettings, NetworkSettings, WorkerSettings

_NO_SECRETS = ("", "guest")
"""RabbitMQ's public default is no secret, and a word that texts may hold."""

S = TypeVar("S", bound=BaseSettings)


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """The limits that were set for one network; None where nothing was."""

    open_turns: int | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Settings:
    """All settings of a worker.

    Attributes:
        amqp_url: the broker's URL, with credentials.
        networks: AUI's networks by name; at least one.
        worker: everything else.
        own_limits: the limits of networks that have some of their own, by name.
    """

    amqp_url: str = field(repr=False)
    networks: Mapping[str, Network]
    worker: WorkerSettings
    own_limits: Mapping[str, OwnLimits] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, Limits]:
        """The limits of every network; where there are several, none may take all places."""
        places = self.worker.concurrency
        share = places if len(self.networks) == 1 else max(1, places // 2)
        own = {name: self.own_limits.get(name, OwnLimits()) for name in self.networks}
        return {name: Limits(one.open_turns or share, one.rate) for name, one in own.items()}

    @property
    def api_keys(self) -> list[str]:
        """The keys that AUI knows, and so might echo."""
        return [network.api_key for network in self.networks.values()]

    @property
    def secrets(self) -> list[str]:
        """Every secret, for the logs."""
        written = urlsplit(self.amqp_url).password or ""
        passwords = [word for word in (written, unquote(written)) if word not in _NO_SECRETS]
        return self.api_keys + passwords


def load_settings() -> Settings:
    """Read all settings.

    Raises:
        ConfigurationError: naming the variable; holds no secret.
    """
    amqp_url, aui = load_amqp_url(), _read(AuiSettings, "AUI_")
    return Settings(amqp_url, _networks(aui), load_worker_settings(), _own_limits(aui))


def load_amqp_url() -> str:
    """Read the broker's URL alone, for commands that need no AUI.

    Raises:
        ConfigurationError: it is wrong.
    """
    return _read(AmqpSettings, "AMQP_").url.get_secret_value()


def load_networks() -> dict[str, Network]:
    """Read AUI's networks.

    Raises:
        ConfigurationError: one is wrong, or there is none.
    """
    return _networks(_read(AuiSettings, "AUI_"))


def load_network_names() -> list[str]:
    """Read what AUI's networks are called, for commands that need no key.

    Raises:
        ConfigurationError: one is wrong.
    """
    aui = _read(AuiSettings, "AUI_")
    named = [DEFAULT_NETWORK] if aui.network_api_key is not None or not aui.networks else []
    return [*named, *aui.networks]


def load_worker_settings() -> WorkerSettings:
    """Read how the worker works.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    return _read(WorkerSettings, "WORKER_")


def _read(kind: type[S], prefix: str) -> S:
    try:
        return kind()
    except SettingsError as error:
        # A mapping that is no JSON; only the name of its field is told, its cause holds the value.
        named = re.search(r'field "(\w+)"', str(error))
        name = named[1].upper() if named else "*"
        raise ConfigurationError(f"{prefix}{name}: is no JSON") from None
    except ValidationError as error:
        # Only place and message: the rest of the error may hold what was in other variables.
        problems = [
            f"{prefix}{'__'.join(str(part) for part in problem['loc']).upper()}:"
            f" {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("; ".join(problems)) from None


def _networks(aui: AuiSettings) -> dict[str, Network]:
    networks, trust = {}, _trust(aui)
    if aui.network_api_key is not None:
        networks[DEFAULT_NETWORK] = _network(
            aui, DEFAULT_NETWORK, NetworkSettings(api_key=aui.network_api_key), trust
        )
    for name, network in aui.networks.items():
        if not is_word(name) or name == UNSLOTTED:
            raise ConfigurationError(f"AUI_NETWORKS__{name.upper()}: no network may be called so")
        if name in networks:
            raise ConfigurationError(
                "AUI_NETWORKS__DEFAULT__API_KEY: AUI_NETWORK_API_KEY is set as well"
            )
        networks[name] = _network(aui, name, network, trust)
    if not networks:
        raise ConfigurationError(
            "AUI_NETWORK_API_KEY: is missing (or AUI_NETWORKS__<name>__API_KEY)"
        )
    return networks


def _trust(aui: AuiSettings) -> Trust:
    """Return the certificates, read once to see that they can be."""
    if aui.key_file is not None and aui.cert_file is None:
        raise ConfigurationError("AUI_CERT_FILE: is missing, AUI_KEY_FILE is set")
    trust = Trust(aui.ca_file, aui.cert_file, aui.key_file)
    for name, alone in (("CA", Trust(aui.ca_file)), ("CERT", trust)):
        if alone == SYSTEM:
            continue
        try:
            alone.context()
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"AUI_{name}_FILE: {unusable(error)}") from None
    return trust


def _own_limits(aui: AuiSettings) -> dict[str, OwnLimits]:
    limits = {DEFAULT_NETWORK: OwnLimits(aui.concurrency, aui.rate_limit)}
    for name, own in aui.networks.items():
        limits[name] = OwnLimits(
            own.concurrency or aui.concurrency, own.rate_limit or aui.rate_limit
        )
    return limits


def _network(aui: AuiSettings, name: str, own: NetworkSettings, trust: Trust) -> Network:
    base_url = own.base_url or (BASE_URLS[own.region] if own.region else aui.base_url)
    own_place = own.base_url is not None or own.region is not None
    return Network(
        name=name,
        api_key=own.api_key.get_secret_value(),
        base_url=base_url or BASE_URLS[aui.region],
        ws_url=own.ws_url or (None if own_place else aui.ws_url),
        ws_auth=aui.ws_auth,
        task_origin_type=aui.task_origin_type,
        keep_socket=aui.keep_socket,
        trust=trust,
    )
