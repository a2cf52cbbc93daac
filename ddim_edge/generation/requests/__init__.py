"""Requests: what to make, as validated data; needs no open network."""
