"""Stress test of the server: clients of every kind for half an hour; run by ``python -m bench.serving soak``."""
