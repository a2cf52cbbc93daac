"""Trains a small text-to-image model: colour emoji from their Unicode names."""
