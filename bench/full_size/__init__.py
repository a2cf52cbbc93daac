"""Stable Diffusion's size on a CPU: ddim-edge beside every other program that runs such a model there.

The programs that are compared run in environments of their own, which do not have ddim-edge: what ``workers``
import is the standard library, NumPy and the program itself.
"""
