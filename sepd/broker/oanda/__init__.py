"""OANDA v20: REST, streams, and the translation between OANDA's words and the domain's."""

from sepd.broker.oanda.client import OandaBroker

__all__ = ["OandaBroker"]
