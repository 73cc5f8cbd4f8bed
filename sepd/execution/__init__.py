"""Orders: the state machine, the executor and reconciliation with the broker."""
