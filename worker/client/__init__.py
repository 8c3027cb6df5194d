"""For programs that publish jobs and read replies."""

from worker.client.client import Client, NotDelivered, connected
from worker.client.replies import ReceivedReply

__all__ = ["Client", "NotDelivered", "ReceivedReply", "connected"]
