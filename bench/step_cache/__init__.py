"""``python -m bench.step_cache``: what caches cost and save, on the two trained models."""
