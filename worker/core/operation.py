"""What a job asks for: the words of its AMQP ``type``."""

from enum import StrEnum

from worker.core.body import shown
from worker.core.envelope import Properties
from worker.core.errors import InvalidJob


class Operation(StrEnum):
    """What is to be done; ``message.send`` where a producer says nothing.

    A turn ends as turns do, on the hub. A request about tasks is answered on its ``reply_to``
    alone.
    """

    SEND = "message.send"
    POST = "message.post"
    CREATE = "task.create"
    LIST = "task.list"
    MESSAGES = "task.messages"

    @property
    def is_turn(self) -> bool:
        """It puts a message to the agent."""
        return self in (Operation.SEND, Operation.POST)

    @property
    def is_read(self) -> bool:
        """It changes nothing: whoever wants the answer still may ask again."""
        return self in (Operation.LIST, Operation.MESSAGES)


def operation_of(properties: Properties) -> Operation:
    """Return what a job asks for.

    Raises:
        InvalidJob: naming ``type``.
    """
    word = properties.type or Operation.SEND
    try:
        return Operation(word)
    except ValueError:
        known = ", ".join(Operation)
        raise InvalidJob("type", f"must be one of {known}, not {shown(word)}") from None
