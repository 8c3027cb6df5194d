"""WhatsApp's Cloud API as a bot sees it, without an account: it calls webhooks, takes messages."""

import json
import uuid
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.bots.fake_provider import FakeProvider
from examples.bots.signatures import meta_signature

Json = dict[Any, Any]


class FakeMeta(FakeProvider[Json]):
    """One app with one business phone number."""

    token = "fake-access-token"  # noqa: S105  it opens nothing
    app_secret = "fake-app-secret"  # noqa: S105
    verify_token = "fake-verify-token"  # noqa: S105
    phone_number_id = "106540352242922"

    def __init__(self) -> None:
        super().__init__()
        path = "/v25.0/{number}/messages"
        self.app = Starlette(routes=[Route(path, self._create, methods=["POST"])])

    async def verify(self, at: str, token: str = "") -> httpx.Response:
        """Call the webhook as Meta does when its URL is set."""
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
        asked["hub.verify_token"] = token or self.verify_token
        async with httpx.AsyncClient(timeout=15) as meta:
            return await meta.get(at, params=asked)

    async def receive(
        self, phone: str, message: str | Json, at: str, *, wamid: str = "", secret: str = ""
    ) -> httpx.Response:
        """Have a phone write to the number: call the bot's webhook as Meta does.

        Args:
            phone: who writes, digits only.
            message: a text, or the button or row that was tapped.
            at: the webhook's URL.
            wamid: the message's id, of a repeated call.
            secret: what it is signed with, where not with the app's secret.

        Returns:
            the webhook's answer.
        """
        said: Json = {"type": "text", "text": {"body": message}}
        if not isinstance(message, str):
            kind = "list_reply" if "description" in message else "button_reply"
            said = {"type": "interactive", "interactive": {"type": kind, kind: message}}
        whole = {"from": phone, "id": wamid or f"wamid.{uuid.uuid4().hex}", "timestamp": "1"}
        contacts = [{"profile": {"name": "A user"}, "wa_id": phone}]
        return await self.notify(
            at, {"contacts": contacts, "messages": [{**whole, **said}]}, secret
        )

    async def notify(self, at: str, value: Json, secret: str = "") -> httpx.Response:
        """Call the webhook with a change of the field ``messages``."""
        metadata = {
            "display_phone_number": "15550001111",
            "phone_number_id": self.phone_number_id,
        }
        value = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        signature = meta_signature(secret or self.app_secret, body)
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
        async with httpx.AsyncClient(timeout=15) as meta:
            return await meta.post(at, content=body, headers=headers)

    async def _create(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401, 190, "Access token has expired")
        if request.path_params["number"] != self.phone_number_id:
            return _error(400, 100, "Unsupported post request")
        if self.troubles:
            trouble = self.troubles.popleft()
            return _error(trouble.status, trouble.code, "trouble", trouble.headers)
        message = await request.json()
        if wrong := complaint(message):
            return _error(400, 100, wrong)
        await self.take(message)
        contact = {"input": message["to"], "wa_id": message["to"]}
        sent = {"id": f"wamid.{uuid.uuid4().hex}"}
        return JSONResponse(
            {"messaging_product": "whatsapp", "contacts": [contact], "messages": [sent]}
        )


def complaint(message: Json) -> str | None:
    """Return what Meta would not like about a message, if anything."""
    match message:
        case {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": str(to),
        } if to.isdecimal():
            pass
        case _:
            return "messaging_product, recipient_type or to"
    match message:
        case {"type": "text", "text": {"body": str(body), **more}} if not more:
            return _long("text.body", body, 4096)
        case {"type": "interactive", "interactive": {"type": "button", **menu}}:
            return _of_buttons(menu)
        case {"type": "interactive", "interactive": {"type": "list", **menu}}:
            return _of_list(menu)
    return "type"


def _of_buttons(menu: Json) -> str | None:
    match menu:
        case {"body": {"text": str(body)}, "action": {"buttons": [*buttons], **more}} if not more:
            replies = [one["reply"] for one in buttons if one.get("type") == "reply"]
        case _:
            return "interactive"
    if not (1 <= len(replies) == len(buttons) <= 3):
        return "1 to 3 reply buttons"
    if len({one["title"] for one in replies}) < len(replies):
        return "titles must be unique"
    texts = [("body", body, 1024)]
    texts += [("title", one["title"], 20) for one in replies]
    return _first(texts) or _ids(replies, 256)


def _of_list(menu: Json) -> str | None:
    match menu:
        case {
            "body": {"text": str(body)},
            "action": {"button": str(button), "sections": [*sections]},
        } if sections:
            rows = [row for section in sections for row in section["rows"]]
        case _:
            return "interactive"
    if not 1 <= len(rows) <= 10:
        return "1 to 10 rows"
    texts = [("body", body, 1024), ("button", button, 20)]
    texts += [("section.title", section["title"], 24) for section in sections]
    texts += [("row.title", row["title"], 24) for row in rows]
    texts += [("description", row["description"], 72) for row in rows if "description" in row]
    return _first(texts) or _ids(rows, 200)


def _first(texts: list[tuple[str, str, int]]) -> str | None:
    return next((wrong for text in texts if (wrong := _long(*text))), None)


def _ids(replies: list[Json], limit: int) -> str | None:
    ids = [str(one["id"]) for one in replies]
    if len(set(ids)) < len(ids) or any(one != one.strip() for one in ids):
        return "ids must be unique, without spaces around them"
    return _first([("id", one, limit) for one in ids])


def _long(name: str, text: str, limit: int) -> str | None:
    return None if 1 <= len(text) <= limit else f"{name} must be of 1 to {limit} characters"


def _error(status: int, code: int, details: str, headers: dict[str, str] | None = None) -> Response:
    data = {"messaging_product": "whatsapp", "details": details}
    error = {"message": f"(#{code})", "type": "OAuthException", "code": code, "error_data": data}
    return JSONResponse({"error": {**error, "fbtrace_id": "fake"}}, status, headers)
