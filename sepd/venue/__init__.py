"""Practice venue: a server that speaks OANDA v20 over a recorded tape."""
