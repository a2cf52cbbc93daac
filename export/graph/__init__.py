"""Traces a network to an ONNX graph, and rewrites the graph."""
