"""Triton Inference Server: a model repository of a bundle, and the Python model that answers requests there."""
