"""Execution: from an intent to what the broker made of it, exactly once."""
