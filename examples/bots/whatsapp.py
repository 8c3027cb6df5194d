"""A WhatsApp bot on Meta's Cloud API: a message or a tap is a job by user, its answer goes back
as text, reply buttons and a list.

    python -m examples.bots.whatsapp      (docs/bots.md tells what to set, here and at Meta)

It stores nothing about conversations: the phone number is the user, whose latest task goes on.
"""

import asyncio
import json
import os

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from examples.bots.environment import required
from examples.bots.inbox import WITHIN, Inbox
from examples.bots.outbox import PREFETCH, SORRY, Outbox, post
from examples.bots.serving import serve
from examples.bots.signatures import meta_signature, same
from examples.bots.whatsapp_messages import answer, said, texts
from worker.client import Client, Failed, Final

GRAPH = "https://graph.facebook.com/v25.0"
TEMPORARY = (1, 2, 4, 80007, 130429, 131000, 131016, 131056, 133004)
"""Meta's error codes for too many requests, too many messages to one user, and its own trouble."""


def webhook(inbox: Inbox, app_secret: str, verify_token: str, phone_number_id: str) -> Starlette:
    """Return what Meta calls: once to see that it is ours, then with every notification."""

    async def verify(request: Request) -> Response:
        asked = request.query_params
        if not same(asked.get("hub.verify_token", ""), verify_token):
            return PlainTextResponse("wrong token", 403)
        return PlainTextResponse(asked.get("hub.challenge", ""))

    async def receive(request: Request) -> Response:
        body = await request.body()
        signature = request.headers.get("X-Hub-Signature-256", "")
        if not same(signature, meta_signature(app_secret, body)):
            return PlainTextResponse("wrong signature", 403)
        for message in said(json.loads(body), phone_number_id):
            if not await inbox.accepts(message.text, user_id=message.user, message_id=message.id):
                return PlainTextResponse("not accepted, please try again", 503)
        return Response()

    get, post_ = Route("/whatsapp", verify), Route("/whatsapp", receive, methods=["POST"])
    return Starlette(routes=[get, post_])


async def main() -> None:
    """Run the bot."""
    amqp_url, token, app_secret, verify_token, number_id = required(
        "AMQP_URL",
        "WHATSAPP_TOKEN",
        "WHATSAPP_APP_SECRET",
        "WHATSAPP_VERIFY_TOKEN",
        "WHATSAPP_PHONE_NUMBER_ID",
    )
    network = os.environ.get("AUI_NETWORK", "default")
    graph = os.environ.get("WHATSAPP_API_URL", GRAPH)
    bearer = {"Authorization": f"Bearer {token}"}
    common = {"messaging_product": "whatsapp", "recipient_type": "individual"}

    async with (
        Client(amqp_url, network, "whatsapp", confirm_timeout=WITHIN) as aui,
        httpx.AsyncClient(base_url=graph, headers=bearer, timeout=15) as meta,
        aui.subscribe(
            f"{network}.whatsapp.*.final",
            f"{network}.whatsapp.*.failed",
            queue=f"sub.whatsapp-bot.{network}",
            prefetch=PREFETCH,
        ) as replies,
    ):

        async def send(user: str, reply: Final | Failed) -> None:
            found = answer(reply) if isinstance(reply, Final) else texts(SORRY[reply.advice])
            for message in found:
                whole = {**common, "to": user, **message}
                await post(meta, f"/{number_id}/messages", temporary=TEMPORARY, json=whole)

        app = webhook(Inbox(aui), app_secret, verify_token, number_id)
        await serve(app, Outbox(send).run(replies), port=8082)


if __name__ == "__main__":
    asyncio.run(main())
