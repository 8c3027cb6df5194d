"""docker-compose.yml does what it says, in each Compose there is here: up, answer, scale, stop."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient

from tests.containers.boxes import RABBITMQ, until
from worker.testing.broker_process import free_ports
from worker.testing.containers import default_image

ROOT = Path(__file__).parents[2]
PREFIX = testcontainers_config.hub_image_name_prefix
PORTS = ("RABBITMQ", "RABBITMQ_MANAGEMENT", "SANDBOX", "PROMETHEUS", "GRAFANA", "JAEGER")
SERVED = ("rabbitmq", "sandbox", "worker")
SECRET = "API_KEY_of_the_live_one"
PASSWORD = "of-this-test-alone"
UNWELL = re.compile(r"Traceback|\berror\b|\bwarning\b|exception", re.IGNORECASE)
LISTED = ("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q")


def compose_programs() -> Iterator[tuple[str, ...]]:
    """Find Docker's plugin, and the program of its own that Compose 1 was."""
    told = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if told.returncode == 0:
        yield "docker", "compose"
    if shutil.which("docker-compose"):
        yield ("docker-compose",)


PROGRAMS = list(compose_programs())


def test_there_is_a_compose() -> None:
    """Else the others here would be none."""
    assert PROGRAMS, "no Compose here: apt-get install docker-compose, or Docker's plugin"


@dataclass
class Project:
    """A project of Compose."""

    program: Sequence[str]
    name: str
    env: dict[str, str]

    def run(self, *words: str, profile: str | None = None, said: str | None = None) -> str:
        """Run a command of Compose, and return what it prints."""
        done = self.tried(*words, profile=profile, said=said)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(
        self, *words: str, profile: str | None = None, said: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose."""
        profiles = ["--profile", profile] if profile else []
        return subprocess.run(
            [*self.program, "-p", self.name, *profiles, *words],
            cwd=ROOT,
            env={**os.environ, **self.env},
            input=said,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def containers(self) -> dict[str, list[dict[str, object]]]:
        """What there is of each service, as the engine tells it; and its log."""
        labelled = {"label": f"com.docker.compose.project={self.name}"}
        found: dict[str, list[dict[str, object]]] = {}
        for box in DockerClient().client.containers.list(all=True, filters=labelled):
            service = box.labels["com.docker.compose.service"]
            told = {**box.attrs, "log": box.logs().decode()}
            found.setdefault(service, []).append(told)
        return found

    def log(self, service: str) -> str:
        """Return all that the containers of a service said."""
        return "".join(str(box["log"]) for box in self.containers.get(service, []))

    def left(self) -> str:
        """Return the ids of all that is of this project."""
        mine = f"label=com.docker.compose.project={self.name}"
        return "".join(
            subprocess.run(
                ["docker", *what, "--filter", mine], capture_output=True, text=True, check=True
            ).stdout
            for what in LISTED
        )


@pytest.fixture(params=PROGRAMS, ids=" ".join)
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """Lend a project, with ports of its own, and the images of this stage."""
    ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
    env = {f"{name}_PORT": str(port) for name, port in ports}
    env["RABBITMQ_IMAGE"] = PREFIX + RABBITMQ
    env["AUI_WORKER_IMAGE"] = PREFIX + default_image()
    lent = Project(request.param, f"aui{uuid4().hex[:8]}", env)
    try:
        yield lent
    finally:
        lent.tried("down", "-v", "--remove-orphans", profile="live")


def test_it_comes_up_answers_scales_and_goes(project: Project) -> None:
    """A person types the commands that it tells them to."""
    project.run("up", "-d", "--no-build")
    told = until("hello has ended", lambda: ended(project, "hello"))
    assert "It works" in told
    assert re.search(r"^  \(\d+ updates, then this\)$", told, re.MULTILINE)

    project.run("up", "-d", "--no-build", "--scale", "worker=3")
    boxes = until("three workers are well", lambda: well(project, 3))
    assert_hardened(boxes)
    chat = ["exec", "-T", "worker", "aui-worker", "chat", "--user", "me"]
    answer = project.run(*chat, said="!1011 after=3 times=2 | a microwave\n/quit\n")
    assert "✓ I found several microwaves" in answer
    assert answer.count("trying again in") == 2

    project.run("stop")
    assert exit_codes(project) == {0}
    for service in SERVED:
        assert not unwell(project.log(service))
    project.run("down", "-v")
    assert project.left() == ""


def test_live_wants_a_key_and_a_password_of_ones_own(project: Project, tmp_path: Path) -> None:
    """Without them it says so; with them it works beside the sandbox, as another network."""
    key = tmp_path / "aui_api_key"
    key.write_text(f"{SECRET}\n")
    key.chmod(0o600)
    project.env |= {
        "AUI_API_KEY_FILE": str(key),
        "AUI_BASE_URL": "http://sandbox:8090/api/ia-controller",
    }
    refused(project, "live: no key")
    key.chmod(0o644)
    refused(project, "not for the password of development")

    project.run("down", "-v", profile="live")
    key.write_text("API_KEY_sandbox\n")
    project.env["RABBITMQ_PASSWORD"] = PASSWORD
    project.run("up", "-d", "--no-build", profile="live")
    until("it is ready", lambda: "ready: consuming" in project.log("live"))
    chat = ["exec", "-T", "live", "aui-worker", "chat", "--user", "me", "--network", "live"]
    assert "✓" in project.run(*chat, profile="live", said="hello\n/quit\n")
    assert "guest:guest" not in json.dumps(project.containers)
    for service in ("live", "worker", "rabbitmq"):
        assert PASSWORD not in project.log(service)
    project.run("down", "-v", profile="live")
    assert project.left() == ""


@pytest.mark.parametrize("profile", ["observe", "live"])
def test_a_profile_loads(project: Project, profile: str) -> None:
    """And what it mounts is there."""
    told = project.run("config", profile=profile)
    named = re.findall(rf"{re.escape(str(ROOT))}/\S+", told)
    assert named
    assert [path for path in named if not Path(path.split(":")[0]).exists()] == []


def test_nothing_listens_but_here() -> None:
    """A port that is published is one of loopback; and no worker has one, see above."""
    text = (ROOT / "docker-compose.yml").read_text()
    ports = re.findall(r"^ {6}- (\S+:\d+)$", text, re.MULTILINE)
    assert len(ports) == len(PORTS)
    assert all(port.startswith("127.0.0.1:${") for port in ports)


def ended(project: Project, service: str) -> str:
    """Return the log of a one-shot service that went well, or nothing yet."""
    (box,) = project.containers.get(service, [{}])
    state = box.get("State")
    if not isinstance(state, dict) or state["Status"] != "exited":
        return ""
    assert state["ExitCode"] == 0, box["log"]
    return str(box["log"])


def well(project: Project, number: int) -> list[dict[str, object]]:
    """Return the workers, once so many are healthy."""
    boxes = project.containers["worker"]
    states = [box["State"] for box in boxes]
    found = [
        each for each in states if isinstance(each, dict) and each["Health"]["Status"] == "healthy"
    ]
    return boxes if len(found) == number else []


def assert_hardened(boxes: Sequence[dict[str, object]]) -> None:
    """Hold that they may do nothing but work."""
    for box in boxes:
        host = box["HostConfig"]
        assert isinstance(host, dict)
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert not host["PortBindings"]


def exit_codes(project: Project) -> set[int]:
    """Return what the containers ended with."""
    states = [box["State"] for boxes in project.containers.values() for box in boxes]
    return {each["ExitCode"] for each in states if isinstance(each, dict)}


def unwell(log: str) -> list[str]:
    """Return the lines of a log that a person would look up."""
    return [line for line in log.splitlines() if UNWELL.search(line)]


def refused(project: Project, why: str) -> None:
    """Start the service ``live``, and wait for it to say why it does not."""
    project.run("up", "-d", "--no-build", profile="live")
    until(why, lambda: why in project.log("live"))

    def ended() -> bool:
        """It says why a moment before it ends."""
        states = [box["State"] for box in project.containers["live"]]
        codes = [isinstance(each, dict) and each["ExitCode"] == 78 for each in states]
        return bool(codes) and all(codes)

    until("exit code 78", ended)
    assert SECRET not in json.dumps(project.containers)
    project.run("rm", "-sf", "live", profile="live")
