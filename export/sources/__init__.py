"""Sources of weights: a diffusers folder, a checkpoint, the Hugging Face hub, LoRA files."""
