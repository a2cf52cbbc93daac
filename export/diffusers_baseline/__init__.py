"""diffusers doing what a bundle does, as the rival of ``ddim-edge bench``, which runs it as a process of its own."""
