"""Distils the bundled model to a few calls of DDIM."""
