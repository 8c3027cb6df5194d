"""Errors carry what the layer above needs, and say it in one line."""

import pytest

from worker.core.errors import AgentUnavailable, ConfigurationError, InvalidJob, LinkLost
from worker.core.verdict import Source, judge


def test_an_invalid_job_names_the_field() -> None:
    error = InvalidJob("text", "is missing")
    assert (error.field, error.problem, str(error)) == ("text", "is missing", "text: is missing")


@pytest.mark.parametrize("code", [None, 404, 406])
def test_a_lost_link_keeps_the_brokers_code(code: int | None) -> None:
    error = LinkLost("the channel was closed", code)
    assert (error.code, str(error)) == (code, "the channel was closed")


def test_an_unavailable_agent_carries_the_verdict() -> None:
    verdict = judge(Source.STATUS, 503, detail="Service Unavailable")
    error = AgentUnavailable(verdict)
    assert error.verdict is verdict
    assert str(error) == "upstream_error: Service Unavailable"


@pytest.mark.parametrize("kind", [InvalidJob, ConfigurationError, LinkLost, AgentUnavailable])
def test_no_error_is_caught_as_another(kind: type[Exception]) -> None:
    kinds = {InvalidJob, ConfigurationError, LinkLost, AgentUnavailable}
    assert [other for other in kinds if issubclass(kind, other)] == [kind]
    assert not issubclass(kind, OSError | ValueError | RuntimeError)
