"""The product's image, built from this source: a broker, a sandbox and a worker in a network.

Where a Docker engine has the Python and RabbitMQ images or BROKER=container demands them. The image
is built by scripts/image, unless AUI_WORKER_IMAGE names one.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from worker.client import Client, Final, Update
from worker.testing import AuiSandboxContainer, AuiWorkerContainer, recorded_replies
from worker.testing.broker import ready
from worker.testing.broker_container import IMAGE as RABBITMQ
from worker.testing.containers import ContainerError, default_image

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PREFIX = os.environ.get("TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX", "")
PYTHON = f"{PREFIX}python:3.13-slim"
AMQP_URL = "amqp://guest:guest@rabbitmq:5672/"


def docker(*words: str) -> str:
    """Run docker and return what it prints."""
    return subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def images_are_here() -> bool:
    """Tell whether an engine answers that needs no pull."""
    with suppress(OSError, subprocess.SubprocessError):
        docker("image", "inspect", PYTHON, PREFIX + RABBITMQ)
        return True
    return False


@pytest.fixture(scope="module")
def image() -> str:
    """Return the product's image, built if none is given."""
    if os.environ.get("AUI_WORKER_IMAGE"):
        return default_image()
    if not images_are_here() and os.environ.get("BROKER") != "container":
        pytest.skip("no Docker engine that has the images")
    subprocess.run(
        [ROOT / "scripts" / "image", PREFIX + default_image()],
        env={"PYTHON_IMAGE": PYTHON, **os.environ},
        check=True,
        timeout=240,
    )
    return default_image()


@pytest.fixture(scope="module")
def network(image: str) -> Iterator[Network]:
    """Lend a Docker network."""
    with Network() as lent:
        yield lent


@pytest.fixture(scope="module")
def amqp_url(network: Network) -> Iterator[str]:
    """Run a RabbitMQ in the network; return its URL for the host."""
    with DockerContainer(
        RABBITMQ, network=network, network_aliases=["rabbitmq"], hostname="rabbitmq", ports=[5672]
    ) as broker:
        where = f"{broker.get_container_host_ip()}:{broker.get_exposed_port(5672)}"
        url = f"amqp://guest:guest@{where}/"
        ready(url, "rabbitmq", lambda: None)
        yield url


@pytest.fixture(scope="module")
def aui(image: str, network: Network) -> Iterator[AuiSandboxContainer]:
    """Run a sandbox in the network."""
    with AuiSandboxContainer(image, network=network) as running:
        yield running


@pytest.fixture
def worker(
    image: str, network: Network, amqp_url: str, aui: AuiSandboxContainer
) -> Iterator[AuiWorkerContainer]:
    """Run a worker in the network."""
    aui.sandbox.reset()
    with AuiWorkerContainer(AMQP_URL, aui, image, network=network) as running:
        yield running


async def test_a_message_is_answered_in_containers(
    worker: AuiWorkerContainer, aui: AuiSandboxContainer, amqp_url: str
) -> None:
    """And a scenario can be set there, too."""
    aui.sandbox.scenario("1011", after=2, times=1)
    task = aui.sandbox.create_task()
    async with Client(amqp_url) as client:
        final = await client.ask("a microwave", task_id=task.id)

    assert final.attempt == 2
    assert [line.text for line in aui.sandbox.user_messages] == ["a microwave"] * 2
    assert aui.sandbox.messages(task)[-1].text == final.text


async def test_sigterm_in_mid_stream_drains(
    worker: AuiWorkerContainer, aui: AuiSandboxContainer, amqp_url: str
) -> None:
    """It reaches Python, which finishes the answer and ends with 0."""
    task = aui.sandbox.create_task()
    inside = worker.get_wrapped_container()
    with recorded_replies(amqp_url) as replies:
        async with Client(amqp_url) as client:
            job = await client.send("!load updates=20 interval=0.05 chunk=5", task_id=task.id)
            await asyncio.to_thread(
                replies.wait_for, lambda all_: any(isinstance(one, Update) for one in all_)
            )
            inside.kill("SIGTERM")
            end = await asyncio.to_thread(replies.assert_one_terminal_reply, job)

    assert isinstance(end, Final)
    assert end.attempt == 1
    assert inside.wait(timeout=60)["StatusCode"] == 0
    assert b"Traceback" not in inside.logs()


def test_it_runs_as_nobody_and_writes_nothing(worker: AuiWorkerContainer) -> None:
    """With a user of its own, no capability, and a root file system that it cannot write to."""
    inside = worker.get_wrapped_container()
    host = inside.attrs["HostConfig"]
    assert inside.exec_run(["id", "-u"]).output == b"10001\n"
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    status = inside.exec_run(["grep", "CapEff", "/proc/1/status"]).output
    assert status.split()[-1] == b"0" * 16
    assert inside.exec_run(["python", "-m", "pip", "--version"]).exit_code != 0
    assert inside.exec_run(["sh", "-c", "command -v gcc cc make"]).exit_code != 0


def test_its_own_health_check_finds_it_well(worker: AuiWorkerContainer) -> None:
    """The one that the image declares, as the engine would run it."""
    inside = worker.get_wrapped_container()
    check = inside.image.attrs["Config"]["Healthcheck"]["Test"][1:]
    done = inside.exec_run(check)
    assert (done.exit_code, done.output) == (0, b"")
    inside.kill("SIGSTOP")
    assert inside.exec_run(check).exit_code != 0


def test_its_log_is_json(worker: AuiWorkerContainer) -> None:
    """A line each, for whoever collects them."""
    lines = worker.get_wrapped_container().logs().splitlines()
    assert lines
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


def test_a_worker_that_cannot_start_says_why(image: str) -> None:
    """At once, with its log."""
    with (
        ExitStack() as stack,
        pytest.raises(ContainerError, match="ended with exit code 78") as told,
    ):
        stack.enter_context(AuiWorkerContainer("amqp://nowhere/", image=image))
    assert "AUI_NETWORK_API_KEY: is missing" in str(told.value)


def test_the_labels_tell_which_source_it_is(image: str) -> None:
    """As the Open Containers Initiative calls them."""
    labels = docker(
        "image",
        "inspect",
        "-f",
        "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}\n{{end}}",
        PREFIX + image,
    )
    told = dict(line.split("=", 1) for line in labels.splitlines())
    assert told["org.opencontainers.image.title"] == "aui-worker"
    assert told["org.opencontainers.image.version"] == version("aui-worker")
    assert told["org.opencontainers.image.revision"]
