"""A turn over REST: the message goes out, and the whole answer comes back, without updates."""

import asyncio

from worker.aui.rest import Rest
from worker.aui.timeouts import Timeouts, sooner
from worker.core.errors import AgentUnavailable
from worker.core.turn import Turn
from worker.core.verdict import Source


async def post(
    rest: Rest, timeouts: Timeouts, task_id: str, request: bytes, deadline: float
) -> Turn:
    """Hold one attempt at a turn; see :meth:`worker.relay.ports.Agent.post`.

    Nothing is heard before the answer is whole, so it gets the time of a first text and of one
    pause together.
    """
    turn = Turn(task_id)
    now = asyncio.get_running_loop().time()
    patience = timeouts.first_text + timeouts.idle
    by, source = sooner(now + patience, Source.FIRST_TEXT_TIMEOUT, deadline)
    if by <= now:
        turn.ended(source, detail="no time is left")
        return turn
    try:
        answer = await rest.send_message(request, by - now)
    except AgentUnavailable as error:
        if error.reached:
            turn.sending()
        if asyncio.get_running_loop().time() >= by:
            turn.ended(source, detail=f"no answer within {by - now:.3g} s")
        turn.refused(error.verdict)
    else:
        turn.sending()
        turn.answered(answer)
    return turn
