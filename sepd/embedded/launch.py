"""Run by path, as `launch.py SIGNAL UID GID COMMAND…`: become a server tied to its parent.

The process drops root, asks the kernel for SIGNAL when its parent dies, and turns into COMMAND.
UID −1 keeps the user. A server that may not run as root keeps from root one capability, the one
to reach its files in folders that only root may enter.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG, _PR_CAPBSET_READ, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT = 1, 23, 8, 47
_AMBIENT_RAISE = 2
_DAC_READ_SEARCH, _DAC_OVERRIDE = 2, 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def _prctl(option: int, *arguments: int) -> int:
    """prctl(2); an option that this kernel refuses is left out: the server starts without it."""
    filled = (*arguments, *(0,) * (4 - len(arguments)))
    return int(_libc.prctl(option, *map(ctypes.c_ulong, filled)))


def drop_root(uid: int, gid: int) -> None:
    """Become `uid`, keeping where possible the capability to enter any folder."""
    wanted = (_DAC_READ_SEARCH, _DAC_OVERRIDE)
    kept = next((c for c in wanted if _prctl(_PR_CAPBSET_READ, c) == 1), None)
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if kept is not None:
        sets = (_Sets * 2)(_Sets(1 << kept, 1 << kept, 1 << kept), _Sets())
        _libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets)
        _prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, kept)


def main(argv: list[str]) -> None:
    """Drop root, tie this process to its parent, and execute the command."""
    death_signal, uid, gid = map(int, argv[:3])
    parent = os.getppid()
    if uid >= 0:
        drop_root(uid, gid)
    _prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)
    os.execv(argv[3], argv[3:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
