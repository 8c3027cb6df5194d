"""Takes all steps, one after the other, and tells what each finds as soon as it does."""

from dataclasses import replace

from worker.check.aui import check_network
from worker.check.broker import check_broker
from worker.check.finding import Finding, Tell
from worker.core.redact import Redactor
from worker.settings import Settings


async def check(settings: Settings, tell: Tell) -> None:
    """Look at the broker, and at AUI for each network.

    Args:
        settings: those a worker would have.
        tell: told each finding, without secrets.
    """
    redactor = Redactor(settings.secrets)

    def told(finding: Finding) -> None:
        tell(replace(finding, said=redactor.text(finding.said)))

    await check_broker(settings, told)
    for network in settings.networks.values():
        await check_network(network, redactor, told)
