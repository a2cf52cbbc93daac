"""Verify: compares an exported graph with PyTorch, or with NumPy, before it is kept."""
