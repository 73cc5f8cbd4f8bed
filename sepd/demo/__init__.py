"""The demo: embedded servers, the practice venue as a process of its own, and the daemon on it."""

from sepd.demo.play import Moment, Watcher, run_demo
from sepd.demo.summary import Summary

__all__ = ["Moment", "Summary", "Watcher", "run_demo"]
