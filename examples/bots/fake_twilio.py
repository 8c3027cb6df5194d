"""Twilio as a bot sees it, without an account: its webhook's caller and its Messages API."""

import base64
import uuid
from typing import NamedTuple

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.bots.fake_provider import FakeProvider
from examples.bots.segments import TWILIO_CHARACTERS, segments
from examples.bots.signatures import twilio_signature


class Text(NamedTuple):
    """One text message to a phone."""

    to: str
    body: str


class FakeTwilio(FakeProvider[Text]):
    """One account with one number.

    Args:
        webhook: the URL that is set for the number: what is signed.
    """

    account_sid = "AC" + "0" * 32
    auth_token = "fake-auth-token"  # noqa: S105  it opens nothing
    number = "+15550001111"

    def __init__(self, webhook: str = "https://bot.example/sms") -> None:
        super().__init__()
        self.webhook = webhook
        path = "/2010-04-01/Accounts/{sid}/Messages.json"
        self.app = Starlette(routes=[Route(path, self._create, methods=["POST"])])

    async def receive(
        self, phone: str, body: str, at: str, *, sid: str | None = None, token: str = ""
    ) -> httpx.Response:
        """Have a phone text the number: call the bot's webhook as Twilio does.

        Args:
            phone: who texts, in E.164.
            body: what.
            at: where the webhook is really reached, behind whatever proxy.
            sid: the message's id, of a repeated call.
            token: what it is signed with, where not with the account's auth token.

        Returns:
            the webhook's answer.
        """
        sid = sid or "SM" + uuid.uuid4().hex
        form = {
            "ToCountry": "US",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "SmsSid": sid,
            "SmsStatus": "received",
            "Body": body,
            "To": self.number,
            "NumSegments": str(segments(body)),
            "MessageSid": sid,
            "AccountSid": self.account_sid,
            "From": phone,
            "ApiVersion": "2010-04-01",
        }
        signature = twilio_signature(token or self.auth_token, self.webhook, form.items())
        async with httpx.AsyncClient(timeout=15) as twilio:
            headers = {"X-Twilio-Signature": signature}
            return await twilio.post(at, data=form, headers=headers)

    async def _create(self, request: Request) -> Response:
        credentials = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            return _error(401, 20003, "Authenticate")
        if request.path_params["sid"] != self.account_sid:
            return _error(404, 20404, "The requested resource was not found")
        if self.troubles:
            trouble = self.troubles.popleft()
            return _error(trouble.status, trouble.code, "trouble", trouble.headers)
        form = dict(httpx.QueryParams((await request.body()).decode()))
        if refusal := self._complaint(request.headers.get("Content-Type", ""), form):
            return refusal
        await self.take(Text(form["To"], form["Body"]))
        sid = "SM" + uuid.uuid4().hex
        return JSONResponse({"sid": sid, "status": "queued", "error_code": None, **form}, 201)

    def _complaint(self, content_type: str, form: dict[str, str]) -> Response | None:
        to, body = form.get("To", ""), form.get("Body", "")
        if content_type != "application/x-www-form-urlencoded":
            return _error(415, 20001, "Unsupported Media Type")
        if not (to[:1] == "+" and to[1:].isdecimal() and 8 <= len(to) <= 16):
            return _error(400, 21211, "Invalid 'To' Phone Number")
        if form.get("From") != self.number:
            return _error(400, 21606, "The 'From' phone number is not a valid one of yours")
        if not body.strip():
            return _error(400, 21602, "Message body is required")
        if len(body) > TWILIO_CHARACTERS:
            return _error(400, 21617, "The concatenated message body exceeds 1600 characters")
        return None


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    url = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": url, "status": status}
    return JSONResponse(body, status, headers)
