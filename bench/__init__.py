"""Measurements of the bundled model's quality and of the runtime's speed; none of it is installed."""
