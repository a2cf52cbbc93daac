"""Graph: traces a network to ONNX and changes the graph."""
