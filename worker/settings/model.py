"""The settings by prefix."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from worker.amqp.choice import Mode as PublishingMode
from worker.amqp.declare import TopologyMode
from worker.aui.network import Region, WsAuth
from worker.settings.fields import (
    AmqpUrl,
    ApiKey,
    HttpHost,
    HttpUrl,
    PartitionRange,
    Partitions,
    Pattern,
    Places,
    Rate,
    Seconds,
    WorkerId,
    WsUrl,
    numbers_of,
)
from worker.telemetry.logs import LogFormat
from worker.telemetry.tracing import Parent

SECRETS = Path("/run/secrets")


class _FromFilesToo(BaseSettings):
    """Settings whose files may be of nested ones: ``aui_networks__acme__api_key``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read files by the same names as variables."""
        files = NestedSecretsSettingsSource(file_secret_settings, secrets_dir_missing="ok")
        return init_settings, env_settings, dotenv_settings, files


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


class AmqpSettings(_FromFilesToo):
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
    concurrency: Places | None = None
    rate_limit: Rate | None = None


class AuiSettings(_FromFilesToo):
    """``AUI_*``: where AUI is, the keys, and how much of it may be used."""

    model_config = _config("AUI_")

    network_api_key: ApiKey | None = None
    networks: dict[str, NetworkSettings] = Field(default_factory=dict)
    region: Region = "gcp"
    base_url: HttpUrl | None = None
    ws_url: WsUrl | None = None
    ws_auth: WsAuth = "query"
    task_origin_type: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keep_socket: Annotated[float, Field(ge=0, le=3600)] = 60.0
    concurrency: Places | None = None
    rate_limit: Rate | None = None


class WorkerSettings(_FromFilesToo):
    """``WORKER_*``: how the worker works. Times are in seconds, sizes in bytes.

    ``id`` decides which partitions a worker prefers, so it should be the same after a restart: host
    names are, of the pods of a StatefulSet too. Processes that share a host need ids of their own:
    of workers with one id, the first gets every partition that prefers it and the others only wait
    for it to go.

    ``publishing`` is ``fast``, in frames made for it, or ``plain``, through aio-pika at many times
    the cost; ``auto`` is fast where that works with the client library and the broker that are
    there, which is tried at the start.

    ``http_host`` is every address by default (``::`` is the same of IPv6): an orchestrator's probes
    and a metrics scraper come from elsewhere, and would not reach a loopback. What they are told is
    no secret, and nothing can be done there; ``127.0.0.1`` keeps it to the machine all the same.

    ``trace_parent`` says what the span of a job's producer is to the job's: its parent, or, of
    producers that are not trusted to decide what is sampled, only linked (``link``). ``log_text``
    has the line at the end of each job tell what was asked and answered.
    """

    model_config = _config("WORKER_")

    partitions: Partitions = 16
    partition_range: PartitionRange | None = None
    prefetch: Annotated[int, Field(ge=1, le=65_535)] = 64
    concurrency: Places = 512
    attempts: Annotated[int, Field(ge=1, le=60)] = 5
    job_deadline: Seconds = 600.0
    connect_timeout: Seconds = 10.0
    first_text_timeout: Seconds = 60.0
    idle_timeout: Seconds = 60.0
    brownout_after: Annotated[int, Field(ge=1)] = 10
    probe_interval: Seconds = 5.0
    grace: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    task_idle: Seconds = 900.0
    max_job_bytes: Annotated[int, Field(ge=1, le=16_000_000)] = 256 * 1024
    max_reply_bytes: Annotated[int, Field(ge=1024, le=16_000_000)] = 8 * 1024 * 1024
    reply_to_pattern: Pattern = r"^(amq\.|sub\.)"
    topology: TopologyMode = "declare"
    publishing: PublishingMode = "auto"
    id: WorkerId = Field(default_factory=lambda: _id_of_host())
    http_host: HttpHost = "0.0.0.0"  # noqa: S104  see above
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    trace_parent: Parent = "parent"
    log_format: LogFormat = "console"
    log_text: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def consumed(self) -> Sequence[int]:
        """The partitions this worker consumes: all, or those of its range."""
        return numbers_of(self.partition_range or f"0-{self.partitions - 1}")

    @field_validator("partition_range")
    @classmethod
    def _exists(cls, value: str | None, info: ValidationInfo) -> str | None:
        partitions = info.data.get("partitions")
        if value and partitions and numbers_of(value)[-1] >= partitions:
            raise ValueError(f"must lie below WORKER_PARTITIONS: {partitions}, from 0 on")
        return value


def _id_of_host() -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:128] or "worker"
