"""Diffusion: noise schedules, samplers, guidance and noise. NumPy alone, no input or output."""
