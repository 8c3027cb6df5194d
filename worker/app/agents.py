"""AUI, for each network of the settings."""

from worker.aui.agent import AuiAgent
from worker.aui.timeouts import Timeouts
from worker.core.redact import Redactor
from worker.settings import Settings


def agents_of(settings: Settings) -> dict[str, AuiAgent]:
    """Return what speaks to AUI, by network; to be closed."""
    worker = settings.worker
    timeouts = Timeouts(worker.connect_timeout, worker.first_text_timeout, worker.idle_timeout)
    redactor = Redactor(settings.api_keys)
    return {
        name: AuiAgent(network, timeouts, worker.max_reply_bytes, redactor)
        for name, network in settings.networks.items()
    }
