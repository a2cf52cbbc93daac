"""Measures the robot policy models/point-maze: how often it succeeds, and how long a decision takes."""
