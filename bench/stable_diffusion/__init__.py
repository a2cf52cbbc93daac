"""Stable Diffusion at its full size: time, memory, and whether it is the same, beside diffusers."""
