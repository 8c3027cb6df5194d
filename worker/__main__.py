"""``python -m worker`` is ``aui-worker``."""

from worker.cli import main

main()
