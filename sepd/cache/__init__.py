"""Valkey: a cache whose loss loses nothing."""
