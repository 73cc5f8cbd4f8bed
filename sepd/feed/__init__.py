"""What arrives: one producer per instrument and the account's transactions, on one queue."""

from sepd.feed.closes import CloseFeed
from sepd.feed.prices import PriceFeed
from sepd.feed.producer import Producer
from sepd.feed.queue import EventQueue
from sepd.feed.staleness import Staleness
from sepd.feed.transactions import TransactionFeed

__all__ = ["CloseFeed", "EventQueue", "PriceFeed", "Producer", "Staleness", "TransactionFeed"]
