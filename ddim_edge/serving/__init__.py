"""The HTTP server. Requests with any sampler and number of steps share network calls. Needs the extra ``serve``."""

from .app import create_app
from .scheduling.async_engine import AsyncEngine, Ticket
from .settings import Settings

__all__ = ["AsyncEngine", "Settings", "Ticket", "create_app"]
