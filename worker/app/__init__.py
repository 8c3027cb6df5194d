"""The composition root: the only package that knows all the others."""

from worker.app.worker import Worker, running

__all__ = ["Worker", "running"]
