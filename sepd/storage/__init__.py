"""Durable state in PostgreSQL."""
