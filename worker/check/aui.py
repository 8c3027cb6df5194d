"""AUI, for one network: is it there, does it take the key, may we read, does the socket open?"""

from worker.aui.agent import AuiAgent
from worker.aui.network import Network
from worker.aui.rest import PROBE_USER
from worker.aui.timeouts import Timeouts
from worker.check.finding import PATIENCE, Finding, State, Tell, failed, fine, skipped, within
from worker.core.errors import AgentUnavailable
from worker.core.redact import Redactor
from worker.core.topology import DEFAULT_NETWORK
from worker.core.verdict import Kind, Source, Verdict

NOBODYS_TASK = "aui-worker-check"
ANSWER_BYTES = 1024 * 1024


async def check_network(network: Network, redactor: Redactor, tell: Tell) -> None:
    """Ask AUI for lists that are empty, and open a socket without saying a word over it."""
    agent = AuiAgent(network, Timeouts(PATIENCE, PATIENCE, PATIENCE), ANSWER_BYTES, redactor)
    key, history, socket = (
        f"{thing} of network {network.name}" for thing in ("AUI key", "AUI history", "AUI socket")
    )
    try:
        found = await within(key, _listed(key, network, agent))
        tell(found)
        if found.state is State.FAILED:
            tell(skipped(f"{history}, socket", "the key, or the way to AUI, comes first"))
            return
        tell(await within(history, _read(history, agent)))
        tell(await within(socket, _opened(socket, agent)))
    finally:
        await agent.aclose()


async def _listed(what: str, network: Network, agent: AuiAgent) -> Finding:
    """Ask for the tasks of nobody: none, which is an answer only where AUI is."""
    try:
        await agent.list_tasks(PROBE_USER)
    except AgentUnavailable as error:
        verdict = error.verdict
        variable = "AUI_BASE_URL"
        if verdict.reason == "unauthorized":
            variable = _key_variable(network)
        return failed(what, f"{_words(verdict)}: check {variable}")
    return fine(what, f"{network.base_url} takes it")


async def _read(what: str, agent: AuiAgent) -> Finding:
    """Ask for the history of a task that nobody has: to be told so is an answer."""
    try:
        await agent.task_messages(NOBODYS_TASK)
    except AgentUnavailable as error:
        verdict = error.verdict
        refused = verdict.kind is Kind.REJECTED and verdict.source is Source.STATUS
        if not refused or verdict.reason == "unauthorized":
            return failed(what, f"{_words(verdict)}: an answer that got lost cannot be found again")
        return fine(what, f"may be read ({_words(verdict)}, of a made-up task)")
    return fine(what, "may be read")


async def _opened(what: str, agent: AuiAgent) -> Finding:
    """Open a WebSocket, and see whether it is kept open."""
    verdict = await agent.probe()
    if verdict.kind is Kind.COMPLETED:
        return fine(what, "opens, and stays open")
    return failed(what, f"{_words(verdict)}: the key is good, so check AUI_WS_URL and AUI_WS_AUTH")


def _words(verdict: Verdict) -> str:
    code = verdict.status_code or verdict.close_code
    return f"{code} {verdict.detail}".strip() if code else f"{verdict.source}: {verdict.detail}"


def _key_variable(network: Network) -> str:
    if network.name == DEFAULT_NETWORK:
        return "AUI_NETWORK_API_KEY"
    return f"AUI_NETWORKS__{network.name.upper()}__API_KEY"
