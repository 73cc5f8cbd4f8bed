"""Risk: what may be entered, and how large. Pure: no clock, no I/O, no event loop."""
