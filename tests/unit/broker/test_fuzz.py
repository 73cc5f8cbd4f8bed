"""Bytes that no broker should send: every parser refuses in words or returns values that can be.

Inputs are real lines and bodies, mutated from a seed: cut, doubled, spliced, flipped, bloated,
their numbers and texts replaced. `FUZZ_INPUTS` sets how many each parser gets.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sepd.broker.oanda import translate, wire
from sepd.broker.oanda.outcome import outcome
from sepd.broker.oanda.stream import UNREADABLE, LineCounts, PriceLines
from sepd.domain.market import Granularity, Heartbeat, Instrument, Quote
from sepd.domain.order import Ambiguous, Done, Refused, Unsent
from sepd.errors import InputError
from tests.support.oanda import FILL, FILLED, INSTRUMENTS, ORDER, account, heartbeat, price, row

COUNT = int(os.environ.get("FUZZ_INPUTS", "5000"))
PAIRS = {"EUR_USD": Instrument("EUR_USD")}
SIDE = {"o": "1.1", "h": "1.2", "l": "1.05", "c": "1.15000"}
CANDLES = {
    "candles": [
        {"time": "2017-03-15T12:00:00.000000000Z", "complete": True, "bid": SIDE, "ask": SIDE}
    ]
}
ODD = (
    *(b"NaN", b"-1", b"1e999", b"0", b"null", b"[]", b"{}", b'""', b"true", b"\xff", b"0E-99"),
    *(b"9" * 400, b"9" * 5_000, b"1e99999999999999999999", b"\xd9\xa3", b"\\ud800", b"[" * 3_000),
)
LIMIT = 10**30


def mutations(seeds: Sequence[object], count: int) -> list[bytes]:
    """`count` mutations of the JSON of `seeds`, the same in every run."""
    rng = random.Random(20_170_315)
    lines = [msgspec.json.encode(seed) for seed in seeds]
    return [_mutated(rng, rng.choice(lines), rng.choice(lines)) for _ in range(count)]


def _mutated(rng: random.Random, line: bytes, other: bytes) -> bytes:
    for _ in range(rng.randint(1, 3)):
        at, to = sorted((rng.randrange(len(line) + 1), rng.randrange(len(line) + 1)))
        match rng.randrange(8):
            case 0:
                line = line[:at]
            case 1:
                line = line[:at] + line[to:]
            case 2:
                line = line[:to] + line[at:]
            case 3:
                line = line[:at] + other[rng.randrange(len(other)) :]
            case 4 if at < len(line):
                line = line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
            case 5:
                parts = line.split(b'"')
                parts[rng.randrange(len(parts))] = rng.choice(ODD)
                line = b'"'.join(parts)
            case 6:
                parts = line.split(b",")
                rng.shuffle(parts)
                line = b",".join(parts)
            case _:
                line = line[:at] + rng.choice(ODD) + line[at:]
    return line


def sane(value: Any) -> None:
    """Every number in a value is finite and every text is one."""
    for name in value.__struct_fields__:
        item = getattr(value, name)
        for part in item if isinstance(item, tuple) else (item,):
            if isinstance(part, Decimal):
                assert part.is_finite()
            elif isinstance(part, msgspec.Struct):
                sane(part)


def test_price_lines() -> None:
    counts = LineCounts()
    for line in mutations([price(), heartbeat(), price(token="1", afterTransaction="7")], COUNT):
        for batch in PriceLines(PAIRS, counts, 1_000_000).batches(line + b"\n"):
            for item in batch.items:
                assert isinstance(item, Quote | Heartbeat)
                assert abs(item.time_ns) < LIMIT
                if isinstance(item, Quote):
                    assert item.instrument == "EUR_USD"
                    assert isinstance(item.bid, int)
    assert counts.corrupt > COUNT // 10
    assert counts.refused > COUNT // 100


def _refusing(parse: Callable[[bytes], Any], lines: Sequence[bytes]) -> int:
    """Parse all; returns how many were accepted."""
    accepted = 0
    for line in lines:
        try:
            sane(parse(line))
        except (*UNREADABLE, InputError):
            continue
        accepted += 1
    return accepted


PARSERS: dict[str, tuple[Callable[[bytes], Any], Sequence[object]]] = {
    "transaction": (
        lambda line: translate.account_event(wire.decoder(wire.Transaction).decode(line), PAIRS),
        [ORDER, FILL, row(3, "TRANSFER_FUNDS", amount="1.0", accountBalance="2.0")],
    ),
    "account": (
        lambda line: translate.account(wire.decoder(wire.AccountReply).decode(line), PAIRS),
        [account(orders=[])],
    ),
    "candle": (
        lambda line: translate.candle(
            wire.decoder(wire.CandlesReply).decode(line).candles[0],
            PAIRS["EUR_USD"],
            Granularity.M1,
        ),
        [CANDLES],
    ),
    "instrument": (
        lambda line: translate.instrument(
            wire.decoder(wire.InstrumentsReply).decode(line).instruments[0]
        ),
        [INSTRUMENTS],
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_bodies(name: str) -> None:
    parse, seeds = PARSERS[name]
    lines = [line for line in mutations(seeds, COUNT) if line.strip(b"[]{} ")]
    accepted = _refusing(lambda line: _first(parse, line), lines)
    assert 0 < accepted < len(lines)


def _first(parse: Callable[[bytes], Any], line: bytes) -> Any:
    """An empty list of candles or instruments is legal and holds nothing to check."""
    try:
        return parse(line)
    except IndexError:
        raise InputError("The list is empty.") from None


def test_order_answers() -> None:
    found = {Done: 0, Refused: 0, Unsent: 0, Ambiguous: 0}
    for line in mutations([FILLED, {"errorCode": "X", "errorMessage": "no"}], COUNT):
        for status in (201, 400):
            became = outcome(status, line, PAIRS)
            found[type(became)] += 1
            if isinstance(became, Done | Refused):
                for event in became.events:
                    sane(event)
    assert found[Done] > 0
    assert found[Refused] > 0
    assert found[Ambiguous] > 0
    assert found[Unsent] == 0
