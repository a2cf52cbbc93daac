"""Distils the bundled model to 1, 2 or 4 network calls an image: consistency distillation with a critic."""
