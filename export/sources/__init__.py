"""Sources: where weights come from: a diffusers folder, a checkpoint, the hub, LoRA files."""
