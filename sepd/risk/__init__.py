"""Risk: pure limits, sizing and the gate before every order."""
