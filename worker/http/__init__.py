"""What a worker tells over HTTP: whether it lives, has started and is ready, and its metrics."""

from worker.http.pages import Exposition, Health, application
from worker.http.server import serving

__all__ = ["Exposition", "Health", "application", "serving"]
