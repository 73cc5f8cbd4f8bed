"""Every failpoint has its place, and every place its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sepd.execution
from sepd.execution.failpoints import NAMES, armed, failpoint

FOLDER = Path(sepd.execution.__file__).parent


def test_names_and_places_agree() -> None:
    source = "\n".join(path.read_text() for path in FOLDER.glob("*.py"))
    places = set(re.findall(r'failpoint\("([a-z_.]+)"\)', source))
    outcomes = {f"outcome.{kind}" for kind in ("done", "refused", "unsent", "ambiguous")}
    assert places | outcomes == set(NAMES)
    assert len(NAMES) >= 40


def test_unarmed_places_do_nothing() -> None:
    failpoint("send.before")


@pytest.mark.parametrize(("setting", "reached"), [("send.before", 1), ("send.before:3", 3)])
def test_the_process_dies_where_and_when_it_was_told(setting: str, reached: int) -> None:
    count = 0
    deaths: list[int] = []
    place = armed(setting, lambda: deaths.append(count))
    while count < 6:
        count += 1
        place("send.after")
        place("send.before")
    assert deaths == [reached]


def test_a_wrong_name_is_told() -> None:
    with pytest.raises(ValueError, match=r"send\.befor"):
        armed("send.befor")
