"""A variable that makes no sense stops the start, and is named without its value."""

import pytest

from worker.core.errors import ConfigurationError
from worker.telemetry.environment import SAMPLERS, Wanted, wanted


def test_by_default_metrics_are_there_for_prometheus_and_nothing_is_traced() -> None:
    assert wanted({}) == Wanted(traces=(), metrics=("prometheus",))
    empty = {"OTEL_TRACES_EXPORTER": "", "OTEL_METRICS_EXPORTER": " "}
    assert wanted(empty) == wanted({})


def test_exporters_are_chosen_by_name_several_if_wanted() -> None:
    environ = {
        "OTEL_TRACES_EXPORTER": "otlp, console",
        "OTEL_METRICS_EXPORTER": "Prometheus,otlp,otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert wanted(environ) == Wanted(("otlp", "console"), ("prometheus", "otlp"))
    assert wanted({"OTEL_METRICS_EXPORTER": "none"}) == Wanted()


@pytest.mark.parametrize("disabled", ["true", "TRUE", " true "])
def test_a_disabled_sdk_exports_nothing_whatever_else_is_set(disabled: str) -> None:
    environ = {"OTEL_SDK_DISABLED": disabled, "OTEL_TRACES_EXPORTER": "nonsense"}
    assert wanted(environ) == Wanted()


@pytest.mark.parametrize("enabled", ["false", "1", "yes", ""])
def test_nothing_but_true_disables_it(enabled: str) -> None:
    assert wanted({"OTEL_SDK_DISABLED": enabled}) == wanted({})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_of_the_specification_is_known(sampler: str) -> None:
    environ = {
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_TRACES_SAMPLER": sampler,
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    assert wanted(environ).traces == ("console",)


TRACED = {"OTEL_TRACES_EXPORTER": "otlp"}
BY_RATIO = {**TRACED, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"OTEL_TRACES_EXPORTER": "seCret"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "prometheus"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp,none"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_METRICS_EXPORTER": "otlp,"}, "OTEL_METRICS_EXPORTER"),
        ({**TRACED, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (
            {**TRACED, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "seCret"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        ),
        ({**TRACED, "OTEL_TRACES_SAMPLER": "seCret"}, "OTEL_TRACES_SAMPLER"),
        ({**TRACED, "OTEL_TRACES_SAMPLER": " always_on"}, "OTEL_TRACES_SAMPLER"),
        (BY_RATIO, "OTEL_TRACES_SAMPLER_ARG"),
        ({**BY_RATIO, "OTEL_TRACES_SAMPLER_ARG": "1.5"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({**BY_RATIO, "OTEL_TRACES_SAMPLER_ARG": "seCret"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({**BY_RATIO, "OTEL_TRACES_SAMPLER_ARG": "nan"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({**BY_RATIO, "OTEL_TRACES_SAMPLER_ARG": "-0.1"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "0"}, "OTEL_BSP_SCHEDULE_DELAY"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "seCret"}, "OTEL_METRIC_EXPORT_INTERVAL"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "inf"}, "OTEL_EXPORTER_OTLP_TIMEOUT"),
    ],
)
def test_nonsense_is_named_without_its_value(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wanted(environ)
    assert str(caught.value).startswith(f"{variable}: ")
    assert "secret" not in str(caught.value).lower()


def test_the_protocol_of_the_signal_goes_before_that_of_all() -> None:
    environ = {
        **TRACED,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }
    assert wanted(environ).traces == ("otlp",)
    with pytest.raises(ConfigurationError):
        wanted({**environ, "OTEL_METRICS_EXPORTER": "otlp"})


def test_no_ratio_from_0_to_1_is_refused() -> None:
    for ratio in ("0", "1", "0.01", "1e-3"):
        assert wanted({**BY_RATIO, "OTEL_TRACES_SAMPLER_ARG": ratio}).traces
