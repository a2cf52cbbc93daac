"""Kills, full disks and read-only folders: what is left is whole, and the same command makes the rest of it."""
