"""Run RabbitMQ as a container, in the engine and under the image name testcontainers finds."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, cast

from worker.testing.broker import Broker, BrokerError, ready, say
from worker.testing.broker_process import free_ports, signals_held

IMAGE = "rabbitmq:4-management"


class NoContainerError(BrokerError):
    """There is no testcontainers, no engine or no image here: not a failure, just not a way."""


def container() -> Generator[Broker]:
    """Start the container; each further broker is the same container, killed and started again."""
    try:
        from testcontainers.core.config import testcontainers_config as config
        from testcontainers.core.container import DockerContainer
    except ImportError:
        raise NoContainerError("testcontainers is not installed for this Python") from None
    name = f"aui-broker-{secrets.token_hex(4)}"
    try:
        with at_most(10):
            box = DockerContainer(IMAGE, name=name, hostname=name)
            engine = box.get_docker_client()
            engine.client.ping()
    except Exception as error:
        raise NoContainerError(f"no Docker engine answers ({error})") from error
    find_image(engine.client, box.image)
    config.ryuk_disabled = config.ryuk_disabled or not ryuk_can_start(engine.client, config)
    # At a port of our choice, since one of the engine's choice would change with a restart; on
    # loopback only, unless testcontainers goes to the engine by another address.
    local = engine.get_connection_mode().value == "docker_host"
    local = local and engine.host() in ("localhost", "127.0.0.1")
    published = cast("dict[str, Any]", box.ports)
    port = free_ports(1)[0]
    published["5672/tcp"] = ("127.0.0.1", port) if local else port
    try:
        with signals_held(signal.SIGTERM), at_most(120):
            box.start()
        node = box.get_wrapped_container()

        def ended() -> str | None:
            node.reload()
            return None if node.status == "running" else str(node.status)

        while True:
            host = "127.0.0.1" if local else box.get_container_host_ip()
            url = f"amqp://guest:guest@{host}:{box.get_exposed_port(5672)}/"
            found = ready(url, name, ended)
            yield Broker(url, "container", found, None, ("docker", "exec", name, "rabbitmqctl"))
            if not ended():
                node.kill()
            node.start()
    finally:
        box.stop()


def ryuk_can_start(client: Any, config: Any) -> bool:
    """Tell whether testcontainers' own keeper is to be had; without it there is still ours."""
    if config.hub_image_name_prefix:
        return False  # it would start itself for ever (testcontainers-python issue 1085)
    with suppress(NoContainerError):
        find_image(client, config.ryuk_image)
        return True
    return False


def find_image(client: Any, image: str) -> None:
    """Make sure the engine has the image, without waiting long for a registry out of reach."""
    with suppress(Exception):
        client.images.get(image)
        return
    try:
        with at_most(15):  # offline, an engine never gets to its first word
            progress = client.api.pull(*image.rsplit(":", 1), stream=True, decode=True)
            next(progress)
        say(f"pulling the image {image}")
        with at_most(150):
            for _ in progress:
                pass
        client.images.get(image)
    except Exception as error:
        raise NoContainerError(f"{image} is not here and cannot be pulled ({error})") from error


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Bound a whole exchange with the engine: its client only bounds each silence in it."""

    def expire(*_: object) -> NoReturn:
        raise TimeoutError(f"not done within {seconds} s")

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
