"""``ddim-edge bench``: how fast a bundle is here, by provider and batch, and beside diffusers."""

from .command import bench_command

__all__ = ["bench_command"]
