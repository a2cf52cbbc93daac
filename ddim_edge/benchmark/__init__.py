"""Benchmark: what ``ddim-edge bench`` measures, and the harness that ``bench/`` uses."""
