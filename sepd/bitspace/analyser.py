"""The engine as a daemon keeps it: proven at start, and alive after a device fault."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sepd.bitspace.analyse import backend_for
from sepd.bitspace.analysis import Analysis
from sepd.bitspace.backend import Backend, BackendName, DeviceFault
from sepd.bitspace.bitstream import Bitstream, bitstream
from sepd.bitspace.golden import prove
from sepd.bitspace.numpy_backend import NumpyBackend, usable_threads
from sepd.bitspace.parameters import Parameters, parameters


class Analyser:
    """Analyses batches with fixed parameters on one backend.

    A device fault in mid-batch discards what the device gave, computes the batch again on the
    CPU (the same integers), tells `on_fault` the reason once, and stays on the CPU.

    backend : the backend's name; `reason` : why it was chosen
    degraded : why the device was given up, None while all is well
    proven_rows : golden rows compared at start

    Raises
    ------
    InputError
        for arguments out of range, or backend "cuda" without a device.
    InvariantViolated
        where the backend does not reproduce the golden rows.
    """

    def __init__(
        self,
        chosen: Parameters | None = None,
        backend: BackendName | Backend = "auto",
        on_fault: Callable[[str], None] | None = None,
    ) -> None:
        self.parameters = parameters() if chosen is None else chosen
        self.degraded: str | None = None
        self._on_fault = on_fault
        if isinstance(backend, str):
            self._backend, self.reason = backend_for(backend)
        else:
            self._backend, self.reason = backend, "given"
        self.proven_rows = 0
        self._prove()

    @property
    def backend(self) -> str:
        """The name of the backend in use."""
        return self._backend.name

    def analyze(
        self,
        bits: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        segment_starts: ArrayLike | None = None,
        *,
        path: bool = False,
    ) -> Analysis:
        """All rows of one batch; takes what `analyze` takes."""
        return self.analyze_stream(bitstream(bits, segment_starts), path=path)

    def analyze_stream(self, stream: Bitstream, *, path: bool = False) -> Analysis:
        """All rows of one packed batch."""
        try:
            return self._backend.analyze(stream, self.parameters, path=path)
        except DeviceFault as fault:
            self._give_up_device(str(fault))
            return self._backend.analyze(stream, self.parameters, path=path)

    def _prove(self) -> None:
        try:
            self.proven_rows = prove(self._backend)
        except DeviceFault as fault:
            self._give_up_device(str(fault))
            self.proven_rows = prove(self._backend)

    def _give_up_device(self, fault: str) -> None:
        self._backend = NumpyBackend(usable_threads())
        self.reason = self.degraded = f"{fault}; on the CPU until restart"
        if self._on_fault is not None:
            self._on_fault(self.degraded)
