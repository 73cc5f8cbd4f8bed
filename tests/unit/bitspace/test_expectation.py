"""Trained expectations."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.bitspace import Expectation, analyze, fit
from sepd.errors import InputError


def counted(bits: list[int], order: int) -> dict[tuple[int, ...], list[int]]:
    seen: dict[tuple[int, ...], list[int]] = {}
    for t in range(order, len(bits)):
        seen.setdefault(tuple(bits[t - order : t]), [0, 0])[bits[t]] += 1
    return seen


@given(
    segments=st.lists(st.lists(st.integers(0, 1), max_size=60), max_size=4), order=st.integers(1, 8)
)
def test_fit_counts_the_next_bit_of_each_context(segments: list[list[int]], order: int) -> None:
    found = fit([np.array(part, np.uint8) for part in segments], order)
    for context in range(1 << order):
        key = tuple(int(digit) for digit in f"{context:0{order}b}")
        seen = [counted(part, order).get(key, [0, 0]) for part in segments]
        zeros, ones = (sum(pair[bit] for pair in seen) for bit in (0, 1))
        assert (found.zeros[context], found.ones[context]) == (zeros, ones)


def test_the_majority_is_expected_and_a_tie_or_an_unseen_context_persists() -> None:
    trained = Expectation(zeros=(5, 3, 0, 2), ones=(6, 3, 0, 1))
    assert trained.table == (1, 1, 0, 0)


def test_a_periodic_tape_is_learned_without_a_correction() -> None:
    bits = np.tile(np.array([0, 0, 1, 0, 1, 1], np.uint8), 40)
    found = analyze(bits, window=20, order=4, expectation=fit(bits, 4), iterations=0)
    assert set(found.corrections[19:]) == {0}
    assert set(analyze(bits, window=20, iterations=0).corrections[19:]) != {0}


def test_a_table_that_contradicts_its_evidence_is_refused() -> None:
    text = fit(np.tile(np.array([0, 1], np.uint8), 30)).dumps()
    with pytest.raises(InputError, match="table does not follow"):
        Expectation.loads(text.replace('"table":[1,0]', '"table":[0,1]'))


def test_save_and_load_return_the_same_table(tmp_path: Path) -> None:
    trained = fit(np.random.default_rng(1).integers(0, 2, 500, np.uint8), 5)
    trained.save(tmp_path / "expectation.json")
    assert Expectation.load(tmp_path / "expectation.json") == trained


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "format sepd-expectation-1"),
        ('{"format": "other"}', "format sepd-expectation-1"),
        ('{"format": "sepd-expectation-1", "order": 9}', "order must be in 1…8"),
        (
            '{"format": "sepd-expectation-1", "order": 1, "zeros": [1], "ones": [1, 2]}',
            "zeros must hold 2\\^order = 2 counts",
        ),
        (
            '{"format": "sepd-expectation-1", "order": 1, "zeros": [1, -1], "ones": [1, 2]}',
            "zeros must hold integers from 0",
        ),
        (
            '{"format": "sepd-expectation-1", "order": 1, "zeros": [1], "ones": [2], "table": [0]}',
            "zeros must hold 2\\^order",
        ),
        ("{", "expectation must be a JSON document"),
    ],
)
def test_a_damaged_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Expectation.loads(text)
