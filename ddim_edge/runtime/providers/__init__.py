"""Execution providers: the table, their options, their plugins, and the device that a user names."""
