"""An example as a process of its own, which may be killed and started again."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from examples.bots.fake_meta import FakeMeta
from examples.bots.fake_twilio import FakeTwilio

PATIENCE = 30.0


class Bot:
    """One life of an example after another.

    Args:
        module: its name within the examples, like ``bots.sms``.
        env: its settings.
    """

    def __init__(self, module: str, env: Mapping[str, str]) -> None:
        self.module = module
        self.said = ""
        self._stirred = asyncio.Event()
        self._env = env
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def webhook(self) -> str:
        """Where it is called."""
        return f"{self.url}/{self.module.rpartition('.')[2]}"

    @property
    def url(self) -> str:
        """Its address."""
        return self._address.result()

    async def start(self) -> None:
        """Start it; returns when it listens, on both sides."""
        self._address = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            f"examples.{self.module}",
            env={"PATH": os.environ["PATH"], **self._env},
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(PATIENCE):
            await self._address

    async def kill(self) -> None:
        """End it as a crash would."""
        assert self._process
        self._process.kill()
        await self.ended()

    async def terminate(self) -> int:
        """End it as a deployment does; returns its exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._process is not None and self._process.returncode is None

    async def says(self, word: str) -> None:
        """Wait until it has logged a word."""
        async with asyncio.timeout(PATIENCE):
            while word not in self.said:
                self._stirred.clear()
                await self._stirred.wait()

    async def ended(self) -> int:
        """Wait for its end; returns its exit code."""
        assert self._process
        assert self._reading
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self._process.wait()

    async def _read(self) -> None:
        assert self._process
        assert self._process.stderr
        async for line in self._process.stderr:
            self.said += line.decode()
            self._stirred.set()
            if found := re.search(r"running on (http://\S+)", line.decode()):
                self._address.set_result(found[1])
        if not self._address.done():
            self._address.set_exception(AssertionError(f"ended without listening: {self.said}"))
            self._address.exception()  # nobody may be waiting


@asynccontextmanager
async def living(module: str, env: Mapping[str, str]) -> AsyncIterator[Bot]:
    """Run an example for the length of the context."""
    bot = Bot(module, env)
    await bot.start()
    try:
        yield bot
    finally:
        if bot.alive:
            await bot.kill()


def sms_settings(amqp_url: str, network: str, api: str, **more: str) -> dict[str, str]:
    """Return the environment of an SMS bot of a fake account."""
    return {
        "AMQP_URL": amqp_url,
        "AUI_NETWORK": network,
        "TWILIO_API_URL": api,
        "TWILIO_ACCOUNT_SID": FakeTwilio.account_sid,
        "TWILIO_AUTH_TOKEN": FakeTwilio.auth_token,
        "TWILIO_SENDER": FakeTwilio.number,
        "SMS_WEBHOOK_URL": "https://bot.example/sms#rc=3&rp=all",
        "SMS_SEGMENTS": "1",
        "PORT": "0",
        **more,
    }


def whatsapp_settings(amqp_url: str, network: str, api: str, **more: str) -> dict[str, str]:
    """Return the environment of a WhatsApp bot of a fake app."""
    return {
        "AMQP_URL": amqp_url,
        "AUI_NETWORK": network,
        "WHATSAPP_API_URL": f"{api}/v25.0",
        "WHATSAPP_TOKEN": FakeMeta.token,
        "WHATSAPP_APP_SECRET": FakeMeta.app_secret,
        "WHATSAPP_VERIFY_TOKEN": FakeMeta.verify_token,
        "WHATSAPP_PHONE_NUMBER_ID": FakeMeta.phone_number_id,
        "PORT": "0",
        **more,
    }
