"""Scheduling: which request runs when; the engine's thread and its asyncio interface."""
