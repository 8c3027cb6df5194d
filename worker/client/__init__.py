"""For programs that send jobs and hear replies: the public API, and nothing else is.

from worker.client import Client            # for asyncio
from worker.client.blocking import Client   # for everything else
"""

from worker.client.advice import Advice
from worker.client.client import Client
from worker.client.errors import (
    ClientError,
    InvalidRequest,
    JobFailed,
    NoAnswer,
    NotAccepted,
    NotConnected,
    NotListening,
)
from worker.client.models import Message, Option, Parameter, Task, TaskPage
from worker.client.replies import Created, Failed, Final, Reply, Retrying, Update
from worker.client.requests import JobOptions
from worker.client.streams import Replies
from worker.client.subscribed import Subscribed

__all__ = [
    "Advice",
    "Client",
    "ClientError",
    "Created",
    "Failed",
    "Final",
    "InvalidRequest",
    "JobFailed",
    "JobOptions",
    "Message",
    "NoAnswer",
    "NotAccepted",
    "NotConnected",
    "NotListening",
    "Option",
    "Parameter",
    "Replies",
    "Reply",
    "Retrying",
    "Subscribed",
    "Task",
    "TaskPage",
    "Update",
]
