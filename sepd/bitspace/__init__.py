"""The engine: bits in, window metrics and damped metrics out, in integers.

BITSPACE.md is the definition. `analyze` takes whole batches, `Stream` one bit at a time,
`Analyser` is what a daemon keeps: it proves itself at start and survives a device fault.
"""

from sepd.bitspace.analyse import analyze, analyze_blocks
from sepd.bitspace.analysis import COLUMNS, Analysis, Damped
from sepd.bitspace.bitstream import Bitstream, bitstream, pack, unpack
from sepd.bitspace.expectation import Expectation, fit
from sepd.bitspace.parameters import Parameters, parameters, persistence
from sepd.bitspace.stream import Row, Stream
from sepd.bitspace.tables import INVALID, ONE

__all__ = [
    "COLUMNS",
    "INVALID",
    "ONE",
    "Analysis",
    "Bitstream",
    "Damped",
    "Expectation",
    "Parameters",
    "Row",
    "Stream",
    "analyze",
    "analyze_blocks",
    "bitstream",
    "fit",
    "pack",
    "parameters",
    "persistence",
    "unpack",
]
