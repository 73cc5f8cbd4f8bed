"""Servers that sepd carries and runs as children of its own."""
