"""Every message of the contract: its type and its parts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, create_model

from worker.contract import agent, jobs, letters, replies
from worker.contract.fields import constant
from worker.core.operation import Operation
from worker.core.reply import TYPES, ReplyKind


class Group(StrEnum):
    """Who publishes a message, and what for."""

    JOB = "jobs"
    REPLY = "replies"
    LETTER = "letters"


@dataclass(frozen=True, slots=True)
class Shape:
    """One message.

    Attributes:
        group: what it is.
        word: its AMQP type; of a dead letter, which keeps that of its job, what we call it.
        says: what it says, for people.
        body: the type of its body.
        headers: the model of its headers.
        properties: the model of its AMQP properties.
        kind: the last word of the routing key of a reply.
    """

    group: Group
    word: str
    says: str
    body: Any
    headers: type[BaseModel]
    properties: type[BaseModel]
    kind: ReplyKind | None = None

    @property
    def name(self) -> str:
        """What it is called among all."""
        return f"{self.group}/{self.word}"

    @property
    def identifier(self) -> str:
        """The name as a word: a job and a reply may be of the same type."""
        words = f"{self.word}.{self.group.name.lower()}".replace("-", ".").split(".")
        return words[0] + "".join(word.title() for word in words[1:])


def _job(operation: Operation, says: str, body: Any, properties: type[BaseModel]) -> Shape:
    headers = jobs.MessageHeaders if operation.is_turn else jobs.RequestHeaders
    return Shape(Group.JOB, operation, says, body, headers, properties)


def _reply(kind: ReplyKind, says: str, body: Any, headers: type[BaseModel]) -> Shape:
    """Return a reply; only updates are transient."""
    mode = replies.TRANSIENT if kind is ReplyKind.UPDATE else replies.PERSISTENT
    properties = create_model(
        f"{kind.title()}ReplyProperties",
        __base__=replies.ReplyProperties,
        __doc__=replies.ReplyProperties.__doc__,
        type=Annotated[str, constant(TYPES[kind])],
        delivery_mode=Annotated[int, constant(mode)],
    )
    return Shape(Group.REPLY, TYPES[kind], says, body, headers, properties, kind)


JOBS = (
    _job(
        Operation.SEND,
        "Put a message to the agent; its answer is streamed.",
        jobs.MessageJob,
        jobs.SendProperties,
    ),
    _job(
        Operation.POST,
        "Put a message to the agent; its answer comes whole, without updates.",
        jobs.MessageJob,
        jobs.PostProperties,
    ),
    _job(Operation.CREATE, "Make a task.", jobs.TaskCreation, jobs.CreateProperties),
    _job(Operation.LIST, "List a user's tasks.", jobs.TaskListing, jobs.ListProperties),
    _job(
        Operation.MESSAGES,
        "Read what was said in a task.",
        jobs.TaskReading,
        jobs.ReadProperties,
    ),
)
REPLIES = (
    _reply(
        ReplyKind.UPDATE,
        "The text so far. Cumulative: it replaces what came before.",
        agent.Update,
        replies.UpdateHeaders,
    ),
    _reply(
        ReplyKind.FINAL,
        "The agent's whole answer. It ends the job.",
        agent.ExternalTaskMessage,
        replies.FinalHeaders,
    ),
    _reply(
        ReplyKind.FAILED,
        "No answer will come, and why. It ends the job.",
        agent.ErrorPayload,
        replies.FailedHeaders,
    ),
    _reply(
        ReplyKind.RETRYING,
        "The text of this attempt is void, another attempt follows.",
        agent.ErrorPayload,
        replies.RetryingHeaders,
    ),
    _reply(
        ReplyKind.CREATED,
        "A task was made: for a job by user, or because it was asked for.",
        agent.Task,
        replies.CreatedHeaders,
    ),
    _reply(ReplyKind.LISTED, "A user's tasks.", agent.TaskPage, replies.ListedHeaders),
    _reply(
        ReplyKind.MESSAGES,
        "What was said in a task, oldest first.",
        list[agent.TaskMessage],
        replies.HistoryHeaders,
    ),
)
DEAD_LETTER = Shape(
    Group.LETTER,
    "dead",
    "A job that could not be answered, kept for people to look into.",
    letters.LetterBody,
    letters.LetterHeaders,
    letters.LetterProperties,
)
SHAPES = (*JOBS, *REPLIES, DEAD_LETTER)
