"""Compiled graphs: the cache of TensorRT engines, EPContext models and optimized graphs."""
