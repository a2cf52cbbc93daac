"""Training recipes of the bundled models. They run from a clone and are not in the wheel."""
