"""The server: requests of any number of steps and any sampler share every network call. Needs ``ddim-edge[serve]``."""

from .app import create_app
from .scheduling.async_engine import AsyncEngine, Ticket
from .settings import Settings

__all__ = ["AsyncEngine", "Settings", "Ticket", "create_app"]
