"""Requests: what to make, as checked data that does not depend on an open network."""
