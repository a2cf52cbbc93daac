"""Measurements of the bundled model's quality and of the runtime's speed; nothing here is installed."""
