"""Images made by Ray Data: on many machines, or by many processes of one. Needs the extra ``ray``."""

from .generate import generate

__all__ = ["generate"]
