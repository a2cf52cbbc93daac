"""What ``python -m bench.scale`` measures: many processes and machines that work together."""
