"""Garbage is collected early, young and old, and only once enough has gathered."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping

import pytest

from sepd.heap import THRESHOLDS, walk_early

SOME = THRESHOLDS[0] // 2 + 1


@pytest.fixture
def walks() -> Iterator[list[int]]:
    """The generation of each walk; the interpreter makes none by itself meanwhile."""
    found: list[int] = []

    def note(phase: str, facts: Mapping[str, int]) -> None:
        if phase == "start":
            found.append(facts["generation"])

    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(10_000_000)
    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)
    gc.set_threshold(*before)


def test_little_garbage_can_wait(walks: list[int]) -> None:
    walk_early()
    assert walks == []


def test_every_generation_gets_its_turn(walks: list[int]) -> None:
    kept: list[object] = []
    for _ in range(60):
        kept += [[] for _ in range(SOME)]
        walk_early()
    youngest, middle, oldest = (walks.count(generation) for generation in range(3))
    assert len(walks) == 60
    assert youngest > middle > oldest > 0


class Loop:
    """Points at itself, so that only a walk frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_points_at_itself_is_freed_however_old(walks: list[int]) -> None:
    loop = Loop()
    seen = weakref.ref(loop)
    gc.collect(0)
    gc.collect(1)  # it is of the oldest generation now
    walks.clear()
    del loop
    kept: list[object] = []
    while 2 not in walks:
        assert seen() is not None
        kept += [[] for _ in range(SOME)]
        walk_early()
    assert seen() is None
