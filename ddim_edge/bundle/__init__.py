"""Bundle: a model folder in the diffusers layout, read without opening a network."""
