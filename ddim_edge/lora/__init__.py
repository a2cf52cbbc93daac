"""LoRA: adapters in a bundle, and the files of trainers that they are made of."""
