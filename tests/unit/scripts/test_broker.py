"""The broker that scripts/broker.py lends: it is there, it is ours, it goes when its user goes.

Every script started here has a TMPDIR of its own, so whatever it leaves behind names that: a
process in its environment, a file in its path.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import broker
import broker_install
import pytest
from broker import running_broker

from worker.testing import broker as testing
from worker.testing import broker_process
from worker.testing.broker import Broker, BrokerError, NoServerError, greeting
from worker.testing.broker_container import IMAGE
from worker.testing.broker_keeper import brokers

SCRIPT = broker.__file__
# Says that it runs and with which broker, counts the SIGINTs it gets, and ends when stdin does.
COMMAND = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"SIGINT\\n"))
print(os.environ["TEST_AMQP_URL"], os.environ["AMQP_URL"], flush=True)
sys.exit(int(sys.stdin.readline() or 0))
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="what is left behind is looked for in /proc"
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no test see the broker and the wishes of the run it is a part of."""
    monkeypatch.delenv("TEST_AMQP_URL", raising=False)
    monkeypatch.setenv("BROKER", "process")
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture(scope="module")
def lent() -> Iterator[Broker]:
    """One private process for the tests that only need some broker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TEST_AMQP_URL", raising=False)
        patch.setenv("BROKER", "process")
        with running_broker() as broker:
            yield broker


def until(done: Callable[[], object], seconds: float = 30) -> None:
    """Wait for what must come to be."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def left_behind(directory: Path) -> list[str]:
    """List the processes and files that come from a script with this TMPDIR."""
    left = [str(path) for path in directory.glob("aui-broker-*")]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if os.fsencode(directory) in (process / "environ").read_bytes():
                left.append((process / "cmdline").read_text().replace("\0", " "))
    return left


def answers(url: str) -> bool:
    """Tell whether a broker is there."""
    with suppress(OSError):
        return bool(greeting(url, 5))
    return False


@contextmanager
def script(**variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run broker.py with COMMAND, in a group of its own as a shell does."""
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--", sys.executable, "-c", COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        env=os.environ | variables,
    ) as started:
        yield started


def urls(started: subprocess.Popen[str]) -> list[str]:
    """Wait until COMMAND runs, and return the two URLs it got."""
    assert started.stdout
    return started.stdout.readline().split()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run broker.py to its end."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_answers_amqp(lent: Broker) -> None:
    assert lent.kind == "process"
    assert lent.version[0].isdigit()
    assert lent.version.encode() in greeting(lent.url, 5)
    assert lent.pid
    assert b"beam" in Path(f"/proc/{lent.pid}/comm").read_bytes()


def test_a_process_listens_on_loopback_only(lent: Broker) -> None:
    listeners = lent.ctl("eval", "rabbit_networking:active_listeners().")
    assert listeners.count("{listener,") == listeners.count("{127,0,0,1}") == 2


def test_ctl_speaks_to_this_broker(lent: Broker) -> None:
    assert f"OS PID: {lent.pid}" in lent.ctl("status")


def test_ctl_says_what_went_wrong(lent: Broker) -> None:
    with pytest.raises(BrokerError, match=r"rabbitmqctl delete_vhost none ended with \d+: .*none"):
        lent.ctl("delete_vhost", "none")


def test_a_restart_is_a_crash_that_keeps_address_and_data(lent: Broker) -> None:
    lent.ctl("add_vhost", "kept")
    port = int(lent.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as link:
        again = lent.restart()
        with suppress(ConnectionResetError):
            assert link.recv(1) == b""
    assert again.pid != lent.pid
    assert again.url == lent.url
    assert answers(lent.url)
    assert "kept" in again.ctl("list_vhosts").splitlines()


def test_a_second_one_is_another_one(lent: Broker, tmp_path: Path) -> None:
    with running_broker() as second:
        assert second.url != lent.url
        assert second.ctl("list_vhosts").splitlines() != lent.ctl("add_vhost", "first").splitlines()
        assert "first" not in second.ctl("list_vhosts").splitlines()
        assert left_behind(tmp_path)
    assert not left_behind(tmp_path)
    assert answers(lent.url)


@pytest.mark.usefixtures("lent")
def test_without_an_engine_it_is_a_process_and_ends_as_the_command_does(tmp_path: Path) -> None:
    engine = f"unix://{tmp_path}/no-engine.sock"
    command = [sys.executable, "-c", "raise SystemExit(7)"]
    done = run("--print", "--", *command, BROKER="", DOCKER_HOST=engine)
    assert done.returncode == 7
    said = r"broker: RabbitMQ \S+ \(process\) at 127\.0\.0\.1:\d+ after \S+ s\n"
    assert re.fullmatch(said, done.stderr)
    assert not left_behind(tmp_path)


@pytest.mark.usefixtures("lent")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_script_that_is_killed(number: int, tmp_path: Path) -> None:
    with script() as started:
        url, same = urls(started)
        assert url == same
        assert answers(url)
        started.send_signal(number)
        # SIGTERM was passed on to the command, whose end is the script's.
        assert started.wait(30) == (128 + number if number == signal.SIGTERM else -number)
    until(lambda: not left_behind(tmp_path))
    assert not answers(url)


@pytest.mark.usefixtures("lent")
def test_nothing_outlives_a_script_that_is_ended_while_the_broker_starts(tmp_path: Path) -> None:
    with script() as started:
        until(lambda: list(tmp_path.glob("aui-broker-*/broker.log")))
        started.terminate()
        assert started.wait(30) == 128 + signal.SIGTERM
    assert not left_behind(tmp_path)


@pytest.mark.usefixtures("lent")
def test_no_process_outlives_a_keeper_that_is_killed(tmp_path: Path) -> None:
    with running_broker() as broker:
        assert broker.keeper
        broker.keeper.kill()
        until(lambda: not any("epmd" in one or "beam" in one for one in left_behind(tmp_path)))
        with pytest.raises(BrokerError, match="the keeper of the broker died"):
            broker.restart()


def test_a_given_broker_is_used_as_it_is(lent: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = lent.url + "?heartbeat=9"
    monkeypatch.setenv("TEST_AMQP_URL", url)
    with running_broker() as broker:
        assert (broker.url, broker.kind, broker.version) == (url, "given", lent.version)
        with pytest.raises(BrokerError, match="not ours to control"):
            broker.ctl("status")
        with pytest.raises(BrokerError, match="not ours to kill"):
            broker.restart()
    assert answers(lent.url)


def test_a_signal_reaches_the_command(lent: Broker) -> None:
    with script(TEST_AMQP_URL=lent.url) as started:
        assert urls(started) == [lent.url, lent.url]
        started.send_signal(signal.SIGINT)
        assert started.stdout
        assert started.stdout.readline() == "SIGINT\n"
        assert started.communicate("3\n", timeout=30) == ("", "")
        assert started.returncode == 3


def test_ctrl_c_reaches_the_command_once(lent: Broker) -> None:
    keyboard, terminal = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", sys.executable, SCRIPT, "--", sys.executable, "-c", COMMAND],
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TEST_AMQP_URL": lent.url},
    ) as started:
        os.close(terminal)
        urls(started)
        assert started.stdout
        os.write(keyboard, b"\x03")
        assert started.stdout.readline() == "SIGINT\n"
        os.write(keyboard, b"4\n")
        # All it has said since: a second SIGINT would be in it.
        assert started.stdout.read() == ""
        assert started.wait(30) == 4
    os.close(keyboard)


def test_a_command_that_a_signal_ended(lent: Broker) -> None:
    done = run("--", "sh", "-c", "kill -USR1 $$", TEST_AMQP_URL=lent.url)
    assert done.returncode == 128 + signal.SIGUSR1


def test_a_command_that_is_not_there(lent: Broker) -> None:
    done = run("--", "no-such-command", TEST_AMQP_URL=lent.url)
    assert done.returncode == 127
    assert done.stderr == "broker: no-such-command: No such file or directory\n"


def test_no_command_is_wrong_usage() -> None:
    assert run("--print").returncode == 2


def test_a_given_broker_that_is_not_there() -> None:
    port = broker_process.free_ports(1)[0]
    done = run("--", "true", TEST_AMQP_URL=f"amqp://user:SECRET@127.0.0.1:{port}/")
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr == (
        f"broker: TEST_AMQP_URL: no RabbitMQ answers at 127.0.0.1:{port}"
        " ([Errno 111] Connection refused)\n"
    )


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x00\x09\x01", b""]
)
def test_a_given_broker_that_is_something_else(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            link, _ = server.accept()
            with link:
                link.recv(8)
                link.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("TEST_AMQP_URL", f"amqp://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(BrokerError, match="does not speak AMQP 0-9-1"), running_broker():
            pass
        thread.join()


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "127.0.0.1:5672"])
def test_a_given_url_of_another_kind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_AMQP_URL", url)
    with pytest.raises(BrokerError, match="not an amqp:// or amqps:// URL"), running_broker():
        pass


def test_no_way_to_a_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(broker_process, "SERVERS", (str(tmp_path),))
    with pytest.raises(NoServerError) as told:
        next(brokers("process"))
    assert str(told.value) == (
        "no RabbitMQ to be had: set TEST_AMQP_URL to one that runs, or start Docker, or install"
        " the server (Debian and Ubuntu: apt-get install rabbitmq-server; macOS: brew install"
        " rabbitmq)"
    )


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    server = tmp_path / "rabbitmq-server"
    server.write_text("#!/bin/sh\necho BOOT FAILED >&2\nexit 1\n")
    server.chmod(0o755)
    if not shutil.which("epmd"):
        pytest.skip("no Erlang on this machine")
    with pytest.raises(BrokerError, match="ended while it was starting; its log:\nBOOT FAILED"):
        next(broker_process.process(server))
    assert not list(tmp_path.glob("aui-broker-*"))


def test_a_way_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER", "cloud")
    with pytest.raises(BrokerError, match="BROKER is 'cloud'"), running_broker():
        pass


def test_only_a_container_and_no_engine(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/no-engine.sock"
    done = run("--", "true", BROKER="container", DOCKER_HOST=host)
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr.startswith("broker: BROKER=container: no Docker engine answers")
    assert done.stderr.count("\n") == 1


def test_a_package_of_the_same_name_is_not_taken_for_the_keeper(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Many a project has a `worker` of its own in the directory where its tests run."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROKER", "container")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    with pytest.raises(BrokerError, match="no Docker engine answers"), running_broker():
        pass


def test_what_is_not_installed_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or, by somebody who may not, asked for."""

    def nothing() -> NoReturn:
        raise NoServerError("nothing here")

    monkeypatch.setattr(testing, "running_broker", nothing)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BrokerError, match="apt-get install rabbitmq-server"), running_broker():
        pass


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
def test_the_policy_on_services_is_put_back(
    before: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(broker_install, "POLICY", policy)
    if before:
        policy.write_text(before)
    with broker_install.no_services_started():
        assert subprocess.run([policy, "rabbitmq-server", "start"], check=False).returncode == 101
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before else [])


def containers(name: str) -> str:
    """List the containers of this name, running or not."""
    found = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"name={name}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def image_is_here() -> bool:
    """Tell whether an engine answers that needs no pull."""
    image = os.environ.get("TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX", "") + IMAGE
    with suppress(OSError, subprocess.TimeoutExpired):
        inspect = ["docker", "image", "inspect", image]
        return not subprocess.run(inspect, capture_output=True, check=False, timeout=10).returncode
    return False


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefer a container, where one can be had without a pull."""
    if not image_is_here():
        pytest.skip("no Docker engine that has the image")
    monkeypatch.delenv("BROKER")


@pytest.mark.usefixtures("engine")
def test_a_container_comes_first() -> None:
    with running_broker() as broker:
        assert broker.kind == "container"
        assert answers(broker.url)
        broker.ctl("add_vhost", "kept")
        again = broker.restart()
        assert again.url == broker.url
        assert "kept" in again.ctl("list_vhosts").splitlines()
        name = broker.control[2]
        assert containers(name)
    assert not containers(name)


@pytest.mark.usefixtures("engine")
def test_no_container_outlives_a_script_that_is_killed() -> None:
    with script() as started:
        url, _ = urls(started)
        port = url.rstrip("/").rpartition(":")[2]
        assert containers("aui-broker-")
        started.kill()
    until(lambda: not answers(url), 30)
    assert port not in containers("aui-broker-")


@pytest.mark.usefixtures("engine")
def test_an_image_out_of_reach_is_no_container() -> None:
    there = "127.0.0.1:1/"
    done = run("--", "true", BROKER="container", TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX=there)
    assert done.returncode == os.EX_UNAVAILABLE
    assert f"{there}{IMAGE} is not here and cannot be pulled" in done.stderr
