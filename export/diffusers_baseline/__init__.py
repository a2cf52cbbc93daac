"""The baseline of ``ddim-edge bench``: diffusers makes the same images as a bundle, in a process of its own."""
