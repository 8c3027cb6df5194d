"""The pytest plugin in projects of its own: found by its entry point, and clear when it fails."""

import pytest

pytest_plugins = ["pytester"]

STUB_BROKER = """
    import pytest

    class Stub:
        url = "amqp://127.0.0.1:1/"

    @pytest.fixture(scope="session")
    def rabbitmq():
        return Stub()
"""


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no project see the broker of the run it is a part of."""
    monkeypatch.delenv("TEST_AMQP_URL", raising=False)
    monkeypatch.delenv("BROKER", raising=False)


def test_it_costs_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.split(".")[0] == "worker"}
            assert ours == {"worker", "worker.testing", "worker.testing.plugin"}
            assert not {"aio_pika", "testcontainers", "pydantic"} & sys.modules.keys()
    """)
    pytester.runpytest_subprocess("-p", "no:anyio").assert_outcomes(passed=1)


def test_its_fixtures_are_told_of(pytester: pytest.Pytester) -> None:
    told = pytester.runpytest_subprocess("--fixtures", "-p", "no:anyio").outlines
    names = {line.split()[0] for line in told if "worker/testing/plugin.py" in line}
    assert names == {
        "assert_one_terminal_reply",
        "aui",
        "aui_blocking",
        "aui_replies",
        "aui_sandbox",
        "aui_worker",
        "aui_worker_settings",
        "aui_workers",
        "rabbitmq",
    }


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"TEST_AMQP_URL": "amqp://user:SECRET@127.0.0.1:1/"},
            "TEST_AMQP_URL: no RabbitMQ answers at 127.0.0.1:1 (*",
        ),
        (
            {"BROKER": "container", "DOCKER_HOST": "unix:///no-engine.sock"},
            "BROKER=container: no Docker engine answers*",
        ),
        ({"BROKER": "cloud"}, "BROKER is 'cloud': it can be 'container' or 'process'"),
    ],
)
def test_no_broker_is_an_error_in_a_line(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    told: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile("def test_it(rabbitmq): pass")
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([told])
    done.stdout.no_fnmatch_line("*Traceback*")
    done.stdout.no_fnmatch_line("*SECRET*")


def test_a_worker_that_does_not_start_shows_its_log(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(STUB_BROKER)
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def aui_worker_settings():
            return {"WORKER_PARTITIONS": "3"}

        def test_it(aui_worker):
            pass

        def test_one_more(aui_workers):
            aui_workers(WORKER_ATTEMPTS="0")
    """)
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(errors=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "the worker ended with exit code 78; its log:",
            "aui-worker: WORKER_PARTITIONS: must be a power of two",
        ]
    )
    done.stdout.no_fnmatch_line("*Traceback*")


def test_a_scope_there_is_not(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naui_worker_scope = function")
    pytester.makepyfile("def test_it(aui_worker): pass")
    done = pytester.runpytest_subprocess()
    assert done.ret != 0
    told = "\n".join([*done.outlines, *done.errlines])
    assert "aui_worker_scope is 'function': it can be session or module" in told
