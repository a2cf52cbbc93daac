"""Graphs of a UNet in few bits on a CPU: speed, memory, disk, and what is lost."""
