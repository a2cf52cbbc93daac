"""``python -m bench.tables``: renders the tables of bench/README.md from the results that are there."""

from . import render

render()
