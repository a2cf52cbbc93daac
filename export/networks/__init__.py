"""Networks: the signature of each kind of network, read from its config.json, and how PyTorch calls it."""
