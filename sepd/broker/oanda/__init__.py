"""OANDA v20: REST, streams, their JSON, and its translation to the domain."""
