"""What a team has written on top of the worker: it answers a text message."""

from worker.client import JobFailed
from worker.client.blocking import Client

SORRY = {
    "rephrase": "I cannot answer that. Could you say it in other words?",
    "try_later": "I am out of breath. Please ask me again in a minute.",
    "operator": "Something is broken here. We are on it.",
}


def answer(aui: Client, phone: str, text: str) -> str:
    try:
        return aui.ask(text, user_id=phone, channel="sms").text
    except JobFailed as failure:
        return SORRY[failure.advice]
