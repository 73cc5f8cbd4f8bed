"""Market values over time: candles, the trading calendar, tape formats, provenance. Pure."""
