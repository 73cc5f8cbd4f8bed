"""Frozen values of the trading domain. Pure: no clock, no I/O, no event loop.

Time is UTC in integer nanoseconds. Prices are integer points (10^-display_precision of the
instrument). Units and money are exact decimals.
"""
