"""Scheduling: which request runs when; the engine thread and its asyncio interface."""
