"""An SMS bot on Twilio: an incoming text is a job by user, its answer goes back as texts.

    python -m examples.bots.sms      (docs/bots.md tells what to set, here and at Twilio)

It stores nothing about conversations: the phone number is the user, whose latest task goes on.
"""

import asyncio
import os
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from examples.bots.environment import number, required
from examples.bots.inbox import WITHIN, Inbox
from examples.bots.outbox import PREFETCH, SORRY, Outbox, post
from examples.bots.segments import messages
from examples.bots.serving import serve
from examples.bots.signatures import same, twilio_signature
from worker.client import Client, Failed, Final

TWILIO = "https://api.twilio.com"


def webhook(inbox: Inbox, auth_token: str, url: str) -> Starlette:
    """Return what Twilio calls with an incoming message."""

    async def receive(request: Request) -> Response:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True)
        signature = request.headers.get("X-Twilio-Signature", "")
        if not same(signature, twilio_signature(auth_token, url, pairs)):
            return PlainTextResponse("wrong signature", 403)
        form = dict(pairs)
        said, sender, sid = (form.get(name, "") for name in ("Body", "From", "MessageSid"))
        # Twilio itself answers STOP and START; a picture without a word is no question.
        is_job = said.strip() and sender and sid and "OptOutType" not in form
        if is_job and not await inbox.accepts(said, user_id=sender, message_id=sid):
            return PlainTextResponse("not accepted, please try again", 503)
        return Response("<Response/>", media_type="text/xml")

    return Starlette(routes=[Route("/sms", receive, methods=["POST"])])


async def main() -> None:
    """Run the bot."""
    amqp_url, sid, auth_token, sender, url = required(
        "AMQP_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SENDER", "SMS_WEBHOOK_URL"
    )
    network = os.environ.get("AUI_NETWORK", "default")
    api = os.environ.get("TWILIO_API_URL", TWILIO)
    segments = max(1, number("SMS_SEGMENTS", 2))
    who = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}

    async with (
        Client(amqp_url, network, "sms", confirm_timeout=WITHIN) as aui,
        httpx.AsyncClient(base_url=api, auth=(sid, auth_token), timeout=15) as twilio,
        aui.subscribe(
            f"{network}.sms.*.final",
            f"{network}.sms.*.failed",
            queue=f"sub.sms-bot.{network}",
            prefetch=PREFETCH,
        ) as replies,
    ):

        async def send(user: str, reply: Final | Failed) -> None:
            text = reply.text if isinstance(reply, Final) else SORRY[reply.advice]
            for body in messages(text, segments):
                form = {"To": user, "Body": body, **who}
                await post(twilio, f"/2010-04-01/Accounts/{sid}/Messages.json", data=form)

        app = webhook(Inbox(aui), auth_token, url.partition("#")[0])
        await serve(app, Outbox(send).run(replies), port=8081)


if __name__ == "__main__":
    asyncio.run(main())
