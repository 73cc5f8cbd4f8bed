"""The calls of OANDA v20, one module per resource."""
