"""Signals: rules, agreement of granularities, signal files."""
