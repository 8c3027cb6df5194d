"""Which exporters the operator wants, by the variables of OpenTelemetry's specification.

The SDK reads most of them itself, but not which exporters to use; and where one makes no sense it
logs that and goes on, with every trace sampled for one. Here that stops the start instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from worker.core.errors import ConfigurationError

SAMPLERS = tuple(
    f"{parent}{name}"
    for parent in ("", "parentbased_")
    for name in ("always_on", "always_off", "traceidratio")
)
_POSITIVE = (
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
)
_SAMPLER, _SAMPLER_ARG = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The exporters that are wanted; none at all where the SDK is disabled."""

    traces: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def wanted(environ: Mapping[str, str]) -> Wanted:
    """Read what is wanted.

    Raises:
        ConfigurationError: naming the variable that makes no sense, without its value.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted()
    chosen = Wanted(
        traces=_exporters(environ, "TRACES", ("otlp", "console"), "none"),
        metrics=_exporters(environ, "METRICS", ("otlp", "console", "prometheus"), "prometheus"),
    )
    if chosen.traces:
        _check_sampler(environ)
    for name in _POSITIVE:
        _check_number(environ, name, "above 0", lambda number: 0 < number < inf)
    return chosen


def _exporters(
    environ: Mapping[str, str], signal: str, known: tuple[str, ...], default: str
) -> tuple[str, ...]:
    variable = f"OTEL_{signal}_EXPORTER"
    named = _read(environ, variable) or default
    names = tuple(dict.fromkeys(name.strip().lower() for name in named.split(",")))
    if names == ("none",):
        return ()
    if not all(name in known for name in names):
        raise ConfigurationError(f"{variable}: must be some of {', '.join(known)}, or none")
    if "otlp" in names:
        _check_protocol(environ, signal)
    return names


def _check_protocol(environ: Mapping[str, str], signal: str) -> None:
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = _read(environ, variable)
        if protocol and protocol != "http/protobuf":
            raise ConfigurationError(f"{variable}: must be http/protobuf")
        if protocol:
            return


def _check_sampler(environ: Mapping[str, str]) -> None:
    sampler = environ.get(_SAMPLER, "").lower()  # as the SDK reads it, which forgives no space
    if sampler and sampler not in SAMPLERS:
        raise ConfigurationError(f"{_SAMPLER}: must be one of {', '.join(SAMPLERS)}")
    if sampler.endswith("traceidratio"):
        if not _read(environ, _SAMPLER_ARG):
            raise ConfigurationError(f"{_SAMPLER_ARG}: is missing: the part of traces to sample")
        _check_number(environ, _SAMPLER_ARG, "from 0 to 1", lambda number: 0 <= number <= 1)


def _check_number(
    environ: Mapping[str, str], variable: str, limits: str, within: Callable[[float], bool]
) -> None:
    text = _read(environ, variable)
    try:
        fits = not text or within(float(text))
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError(f"{variable}: must be a number {limits}")


def _read(environ: Mapping[str, str], variable: str) -> str:
    return environ.get(variable, "").strip()
