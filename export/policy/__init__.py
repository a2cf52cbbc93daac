"""Robot policies: LeRobot's diffusion policy, with networks of our own that have its names of weights."""
