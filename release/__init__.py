"""Builds a release: ``python -m release``, or ``make release``."""
