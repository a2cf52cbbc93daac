"""Hardware: the processor's threads, memory, and NVIDIA GPUs."""
