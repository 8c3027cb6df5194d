import os
import sys

from worker.client import JobFailed
from worker.client.blocking import Client

with Client(os.environ.get("AMQP_URL", "amqp://localhost/")) as aui:
    task = aui.create_task(sys.argv[1])
    print(task.welcome_message)
    try:
        print(aui.ask(sys.argv[2], task_id=task.id).text)
    except JobFailed as error:
        print(error.advice)
    for message in aui.task_messages(task.id):
        print(message.sender, message.text)
