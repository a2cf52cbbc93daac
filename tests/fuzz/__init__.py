"""Fuzzing: seeded generators of hostile input for the command line and the server, and what must hold for each case.

A kind is a function from ``random.Random`` to a ``Case``; case ``index`` of a seed is always the same. A few hundred of
each kind run with the tests, ten thousand by ``python -m bench.fuzz``.
"""
