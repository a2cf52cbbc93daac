"""Trains a robot policy: a ball that is pushed round a block to its goal, by either of two ways."""
