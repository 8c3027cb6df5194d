"""Asks one question through the whole of docker-compose.yml, and says what to type next."""

import os
import sys
import textwrap

from worker.client.blocking import Client

QUESTION = "I am looking for a built-in microwave with at least 20 liters capacity"
NEXT = """
It works: that went through RabbitMQ to a worker, to the sandbox of AUI, and all the way back.
In another terminal, in this directory:

  docker compose exec worker aui-worker chat --user me     talk to the agent
  docker compose exec worker aui-worker tail               watch every answer as it streams;
                                                           meanwhile, in one more terminal:
  docker compose exec worker aui-worker send --user me '!1011 after=3 times=2 | a microwave'
                                                           AUI breaks off, twice: see it recover
  docker compose up -d --scale worker=3                    three workers share the conversations

The broker is amqp://localhost:5672 for your own programs, its page http://localhost:15672.
Ctrl-C stops all of it, `docker compose down -v` removes it.
"""


def main() -> None:
    """Ask, and print the answer as it came."""
    with Client(os.environ["AMQP_URL"]) as aui:
        updates = 0

        def count(_: object) -> None:
            nonlocal updates
            updates += 1

        final = aui.ask(QUESTION, user_id="hello", timeout=60, on_update=count)
    answer = textwrap.fill(final.text, 88, initial_indent="  ", subsequent_indent="  ")
    sys.stdout.write(f"\n> {QUESTION}\n\n{answer}\n\n  ({updates} updates, then this)\n{NEXT}")


main()
