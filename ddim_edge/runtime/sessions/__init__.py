"""Sessions: one ONNX graph with named inputs on one device."""
