"""Puts the ``OTEL_*`` variables of ``.env`` where OpenTelemetry looks for them: the environment."""

import os

from pydantic_settings import BaseSettings, DotEnvSettingsSource


def adopt_otel_variables() -> None:
    """Set what ``.env`` sets and the environment does not; before telemetry is set up."""
    source = DotEnvSettingsSource(BaseSettings, env_file=".env", case_sensitive=True)
    for name, value in source.env_vars.items():
        if name.startswith("OTEL_") and value and not os.environ.get(name):
            os.environ[name] = value
