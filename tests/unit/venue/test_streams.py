"""What an open stream is given: every quote if paced, one in 250 ms if not."""

from __future__ import annotations

from sepd.venue.streams import WINDOW_NS, PriceStream


async def taken(stream: PriceStream) -> list[str]:
    """What waits to be written."""
    return (await stream.read() or "").split()


async def test_an_unpaced_stream_gets_the_newest_price_of_each_window() -> None:
    stream = PriceStream(None, paced=False)
    stream.offer("EUR_USD", 0, "a ")
    stream.offer("EUR_USD", 10, "b ")
    stream.offer("NZD_USD", 20, "x ")
    stream.offer("EUR_USD", WINDOW_NS - 1, "c ")
    assert await taken(stream) == ["a", "x"]
    stream.release(WINDOW_NS)
    assert await taken(stream) == ["c"]
    stream.offer("EUR_USD", WINDOW_NS + 1, "d ")
    stream.release(2 * WINDOW_NS)
    assert await taken(stream) == ["d"]


async def test_at_most_four_prices_a_second() -> None:
    stream = PriceStream(None, paced=False)
    got = []
    for millisecond in range(0, 10_000, 7):
        now_ns = millisecond * 1_000_000
        stream.release(now_ns)
        stream.offer("EUR_USD", now_ns, f"{millisecond} ")
        stream.note("beat ")
        got += [line for line in await taken(stream) if line != "beat"]
    assert 36 <= len(got) <= 41
    assert got == sorted(got, key=int)


async def test_a_slow_unpaced_reader_is_left_with_the_newest_of_each() -> None:
    stream = PriceStream(None, paced=False)
    for number in range(2_000):
        stream.offer(f"P{number % 2}", number * WINDOW_NS, f"{number} ")
    waiting = await taken(stream)
    assert len(waiting) <= 300
    assert waiting[-2:] == ["1998", "1999"]


async def test_a_paced_stream_gets_every_line_and_counts_prices() -> None:
    stream = PriceStream(None, paced=True)
    await stream.feed([f"{number} " for number in range(1_000)])
    stream.note("beat ")
    assert len(await taken(stream)) == 1_001
    assert stream.sent == 1_000


async def test_a_closed_stream_hands_out_what_waits_and_then_ends() -> None:
    stream = PriceStream(None, paced=True)
    await stream.feed(["a "])
    stream.close()
    assert await taken(stream) == ["a"]
    assert await stream.read() is None
    await stream.feed(["b "])
    assert await stream.read() is None
