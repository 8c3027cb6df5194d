"""A faithful AUI Messaging API (v1, REST and WebSocket) for demos, tests and benchmarks.

It shares no code with the worker, so that a misreading of AUI in one shows against the other.

    async with Sandbox(api_key="API_KEY_demo", dialect="docs", word_delay=0.0) as sandbox:
        task = sandbox.create_task("user_123")
        ...  # talk to sandbox.base_url and sandbox.ws_url
        sandbox.store.user_messages(task.id)

A message may order misbehaviour: `!1011 after=3 times=2 | a microwave, please`. `SCENARIOS` lists
every scenario with its parameters; `Sandbox.fault` has those that come before any text. A
`journal` file outlives the process and tells a checker what was said.
"""

from worker.sandbox.dialect import DialectName
from worker.sandbox.directive import SCENARIOS
from worker.sandbox.sandbox import DEFAULT_API_KEY, Sandbox

__all__ = ["DEFAULT_API_KEY", "SCENARIOS", "DialectName", "Sandbox"]
