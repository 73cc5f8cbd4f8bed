"""The real daemon under virtual time in one process, with seeded faults and invariants."""
