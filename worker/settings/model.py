"""The settings by prefix, and what a worker is given of them."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from worker.amqp.declare import TopologyMode
from worker.aui.network import BASE_URLS, Network, Region, WsAuth
from worker.core.body import is_word
from worker.core.errors import ConfigurationError
from worker.core.topology import DEFAULT_NETWORK, UNSLOTTED
from worker.settings.fields import (
    AmqpUrl,
    ApiKey,
    HttpUrl,
    Partitions,
    Pattern,
    Seconds,
    WorkerId,
    WsUrl,
)
from worker.telemetry.logs import LogFormat

SECRETS = Path("/run/secrets")
_NO_SECRETS = ("", "guest")
"""RabbitMQ's public default is no secret, and a word that texts may hold."""


def _config(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        env_prefix=prefix,
        env_file=".env",
        env_ignore_empty=True,
        env_nested_delimiter="__",
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
        hide_input_in_errors=True,
        extra="ignore",
    )


class AmqpSettings(BaseSettings):
    """``AMQP_*``: the broker."""

    model_config = _config("AMQP_")

    url: AmqpUrl = SecretStr("amqp://guest:guest@localhost:5672/")


class NetworkSettings(BaseModel):
    """``AUI_NETWORKS__<name>__*``: one more network."""

    # A misspelt region must not send a network's key to the other one.
    model_config = ConfigDict(extra="forbid")

    api_key: ApiKey
    region: Region | None = None
    base_url: HttpUrl | None = None
    ws_url: WsUrl | None = None


class AuiSettings(BaseSettings):
    """``AUI_*``: where AUI is, and the keys."""

    model_config = _config("AUI_")

    network_api_key: ApiKey | None = None
    networks: dict[str, NetworkSettings] = Field(default_factory=dict)
    region: Region = "gcp"
    base_url: HttpUrl | None = None
    ws_url: WsUrl | None = None
    ws_auth: WsAuth = "query"
    task_origin_type: str | None = None


class WorkerSettings(BaseSettings):
    """``WORKER_*``: how the worker works. Times are in seconds, sizes in bytes."""

    model_config = _config("WORKER_")

    partitions: Partitions = 16
    prefetch: Annotated[int, Field(ge=1, le=65_535)] = 64
    concurrency: Annotated[int, Field(ge=1)] = 512
    attempts: Annotated[int, Field(ge=1, le=60)] = 5
    job_deadline: Seconds = 600.0
    connect_timeout: Seconds = 10.0
    first_text_timeout: Seconds = 60.0
    idle_timeout: Seconds = 60.0
    grace: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    task_idle: Seconds = 900.0
    max_job_bytes: Annotated[int, Field(ge=1, le=16_000_000)] = 256 * 1024
    max_reply_bytes: Annotated[int, Field(ge=1024, le=16_000_000)] = 8 * 1024 * 1024
    reply_to_pattern: Pattern = r"^(amq\.|sub\.)"
    topology: TopologyMode = "declare"
    id: WorkerId = Field(default_factory=lambda: _id_of_host())
    log_format: LogFormat = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


S = TypeVar("S", bound=BaseSettings)


@dataclass(frozen=True)
class Settings:
    """All settings of a worker.

    Attributes:
        amqp_url: the broker's URL, with credentials.
        networks: AUI's networks by name; at least one.
        worker: everything else.
    """

    amqp_url: str = field(repr=False)
    networks: Mapping[str, Network]
    worker: WorkerSettings

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
    return Settings(load_amqp_url(), load_networks(), load_worker_settings())


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
    networks = {}
    if aui.network_api_key is not None:
        networks[DEFAULT_NETWORK] = _network(
            aui, DEFAULT_NETWORK, NetworkSettings(api_key=aui.network_api_key)
        )
    for name, network in aui.networks.items():
        if not is_word(name) or name == UNSLOTTED:
            raise ConfigurationError(f"AUI_NETWORKS__{name.upper()}: no network may be called so")
        if name in networks:
            raise ConfigurationError(
                "AUI_NETWORKS__DEFAULT__API_KEY: AUI_NETWORK_API_KEY is set as well"
            )
        networks[name] = _network(aui, name, network)
    if not networks:
        raise ConfigurationError(
            "AUI_NETWORK_API_KEY: is missing (or AUI_NETWORKS__<name>__API_KEY)"
        )
    return networks


def _network(aui: AuiSettings, name: str, own: NetworkSettings) -> Network:
    base_url = own.base_url or (BASE_URLS[own.region] if own.region else aui.base_url)
    own_place = own.base_url is not None or own.region is not None
    return Network(
        name=name,
        api_key=own.api_key.get_secret_value(),
        base_url=base_url or BASE_URLS[aui.region],
        ws_url=own.ws_url or (None if own_place else aui.ws_url),
        ws_auth=aui.ws_auth,
        task_origin_type=aui.task_origin_type,
    )


def _id_of_host() -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:128] or "worker"
