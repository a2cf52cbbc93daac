"""Fuzzing of the server: seeded malformed requests; run by ``python -m bench.serving fuzz``."""
