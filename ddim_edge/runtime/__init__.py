"""Runtime: everything that is ONNX Runtime or the machine."""
