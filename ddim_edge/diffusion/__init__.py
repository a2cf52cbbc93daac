"""Diffusion: noise schedules, samplers, guidance and noise. Uses NumPy only; no input or output."""
