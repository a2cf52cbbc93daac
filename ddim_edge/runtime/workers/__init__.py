"""Workers: child processes, and the one protocol that they and their parents speak."""
