"""Containers of the product's image for testcontainers: a worker, and a sandbox of AUI.

    with (
        Network() as network,
        RabbitMqContainer("rabbitmq:4-management", network=network, network_aliases=["rabbitmq"]),
        AuiSandboxContainer(network=network) as aui,
        AuiWorkerContainer("amqp://guest:guest@rabbitmq:5672/", aui, network=network),
    ):
        task = aui.sandbox.create_task()
        ...

Both run with a read-only root file system and without capabilities, as they should in production.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import WaitStrategy, WaitStrategyTarget

from worker.testing.requests import request
from worker.testing.sandbox import API_KEY, AuiSandbox
from worker.testing.worker_process import QUICK

HEALTH_PORT = 8080
SANDBOX_PORT = 8090
SANDBOX_ALIAS = "aui-sandbox"
READY_WITHIN = 60
"""Seconds, unless ``with_startup_timeout`` of a wait strategy of one's own says otherwise."""
HARDENED: Mapping[str, Any] = {"read_only": True, "cap_drop": ["ALL"]}


class ContainerError(RuntimeError):
    """A container ended before it was ready; the text holds its log."""


def default_image() -> str:
    """Return the image of this version, or the one that ``AUI_WORKER_IMAGE`` names."""
    return os.environ.get("AUI_WORKER_IMAGE") or f"aui-worker:{version('aui-worker')}"


class PageAnswers(WaitStrategy):
    """Waits until a page answers 200; a container that has ended is not waited for.

    Args:
        port: the page's, inside the container.
        path: the page's.
    """

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self._port = port
        self._path = path
        self.with_startup_timeout(READY_WITHIN).with_poll_interval(0.1)

    def wait_until_ready(self, container: WaitStrategyTarget) -> None:
        """Wait.

        Raises:
            ContainerError: it has ended.
            TimeoutError: it takes too long.
        """
        inside, deadline = (
            container.get_wrapped_container(),
            time.monotonic() + self._startup_timeout,
        )
        while not self._answers(container):
            inside.reload()
            if inside.status not in ("created", "running"):
                code, log = (
                    inside.attrs["State"]["ExitCode"],
                    inside.logs().decode(errors="replace"),
                )
                raise ContainerError(f"the container ended with exit code {code}; its log:\n{log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {self._path} within {self._startup_timeout:g} s")
            time.sleep(self._poll_interval)

    def _answers(self, container: WaitStrategyTarget) -> bool:
        inside = container.get_wrapped_container()
        inside.reload()
        if inside.status != "running":
            return False
        try:
            # It may end at any time, and has no port then: that is an OSError, too.
            host, port = container.get_container_host_ip(), container.get_exposed_port(self._port)
            status, _ = request(f"http://{host}:{port}{self._path}")
        except (OSError, ValueError):
            return False
        return status == 200


class AuiSandboxContainer(DockerContainer):
    """A sandbox of AUI.

    Args:
        image: the product's; by default that of this version, or ``AUI_WORKER_IMAGE``.
        api_key: the key that it accepts.
        word_delay: seconds between two words of an answer.
        alias: its name in the Docker network.
        options: those of `DockerContainer`, for example ``network``.
    """

    def __init__(
        self,
        image: str | None = None,
        *,
        api_key: str = API_KEY,
        word_delay: float = 0.0,
        alias: str = SANDBOX_ALIAS,
        **options: Any,
    ) -> None:
        super().__init__(image or default_image(), **{**HARDENED, **options})
        self.api_key = api_key
        self.alias = alias
        self.with_network_aliases(alias)
        self.with_exposed_ports(SANDBOX_PORT)
        where = ["--host", "0.0.0.0", "--port", str(SANDBOX_PORT)]  # noqa: S104  in a container
        self.with_command(["sandbox", *where, "--api-key", api_key, "--pace", str(word_delay)])
        self.waiting_for(PageAnswers(SANDBOX_PORT, "/sandbox/state"))

    @property
    def sandbox(self) -> AuiSandbox:
        """Its remote control, once it runs: tasks, messages, faults, scenarios."""
        host, port = self.get_container_host_ip(), self.get_exposed_port(SANDBOX_PORT)
        return AuiSandbox(f"http://{host}:{port}", self.api_key)

    def get_base_url(self) -> str:
        """Return what ``AUI_BASE_URL`` is to be for a program on the host."""
        return self.sandbox.base_url

    def get_internal_base_url(self) -> str:
        """Return what ``AUI_BASE_URL`` is to be for a container in the same network."""
        return AuiSandbox(f"http://{self.alias}:{SANDBOX_PORT}").base_url


class AuiWorkerContainer(DockerContainer):
    """A worker; started, it takes jobs.

    Args:
        amqp_url: the broker, as it is called in the worker's Docker network.
        aui: the sandbox, in the same network; None where ``settings`` name an AUI.
        image: the product's; by default that of this version, or ``AUI_WORKER_IMAGE``.
        settings: more variables, or others than it has by default; see the README.
        options: those of `DockerContainer`, for example ``network``.
    """

    def __init__(
        self,
        amqp_url: str,
        aui: AuiSandboxContainer | None = None,
        image: str | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(image or default_image(), **{**HARDENED, **options})
        joined = {"AMQP_URL": amqp_url, **QUICK}
        if aui is not None:
            joined["AUI_BASE_URL"] = aui.get_internal_base_url()
            joined["AUI_NETWORK_API_KEY"] = aui.api_key
        self.with_envs(**{**joined, **(settings or {})})
        self.with_exposed_ports(HEALTH_PORT)
        self.waiting_for(PageAnswers(HEALTH_PORT, "/readyz"))

    def get_base_url(self) -> str:
        """Return where its pages are: ``/livez``, ``/readyz``, ``/metrics``."""
        host, port = self.get_container_host_ip(), self.get_exposed_port(HEALTH_PORT)
        return f"http://{host}:{port}"
