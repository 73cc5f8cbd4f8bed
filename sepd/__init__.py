"""sepd: an event-driven FX trading daemon for OANDA v20 accounts."""

__version__ = "0.1.0"
