"""Trains a robot policy: a point mass in a maze that has two ways round to its goal."""
