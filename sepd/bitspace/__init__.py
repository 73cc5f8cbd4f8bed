"""The engine: bits in, window metrics and damped metrics out, in integers.

BITSPACE.md is the definition. `analyze` takes whole batches, `Stream` one bit at a time,
`Analyser` is what a daemon keeps: it proves itself at start and survives a device fault.
"""

from sepd.bitspace.analyse import analyze, analyze_blocks
from sepd.bitspace.analyser import Analyser
from sepd.bitspace.analysis import COLUMNS, Analysis, Damped
from sepd.bitspace.backend import DeviceFault
from sepd.bitspace.bitstream import Bitstream, bitstream, pack, unpack
from sepd.bitspace.converter import BitPlanes, LiveBits, LiveConverter, MarketDataConverter
from sepd.bitspace.expectation import Expectation, fit
from sepd.bitspace.parameters import Parameters, parameters, persistence
from sepd.bitspace.planes import PLANES
from sepd.bitspace.stream import Row, Stream
from sepd.bitspace.tables import INVALID, ONE

__all__ = [
    "COLUMNS",
    "INVALID",
    "ONE",
    "PLANES",
    "Analyser",
    "Analysis",
    "BitPlanes",
    "Bitstream",
    "Damped",
    "DeviceFault",
    "Expectation",
    "LiveBits",
    "LiveConverter",
    "MarketDataConverter",
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
