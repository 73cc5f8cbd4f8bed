"""What a backend is, and how one fails."""

from typing import Literal, Protocol

from sepd.bitspace.analysis import Analysis
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.parameters import Parameters
from sepd.errors import SepdError

type BackendName = Literal["auto", "numpy", "cuda"]


class DeviceFault(SepdError):
    """A device failed in mid-batch: its results are worthless, the CPU must take over."""


class Backend(Protocol):
    """What computes the rows; every implementation gives the same integers."""

    @property
    def name(self) -> str:
        """The name it is chosen by."""

    def analyze(self, stream: Bitstream, parameters: Parameters, *, path: bool = False) -> Analysis:
        """All rows of one batch."""
