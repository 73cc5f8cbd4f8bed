"""`sepd run` trades while the lines to the venue and to the database are cut.

`SEPD_CUTS=N` makes N cuts of every kind in the long run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.daemon import until
from tests.support.judge import say, settle, timed
from tests.support.order_proxy import Cut, OrderProxy, order_proxy
from tests.support.storage import SOCKET
from tests.support.unix_proxy import UnixProxy
from tests.support.whole import Whole, whole

pytestmark = pytest.mark.timeout(120)
CUTS = int(os.environ.get("SEPD_CUTS", "0"))
# Of what never arrived the record is silent, and its pair waits for the quiet window.
KNOWN_SOON = (Cut.LOST_REPLY, Cut.HALF_REPLY, Cut.LATE_REPLY)


async def made(proxy: OrderProxy, cuts: int, within_s: float) -> None:
    """Return when all of the plan has happened."""

    async def all_made() -> bool:
        return proxy.done.total() >= cuts

    await until(all_made, within_s)


async def trade_through(place: Whole, proxy: OrderProxy, within_s: float) -> None:
    """Trade while the plan of `proxy` is carried out, then judge."""
    place.url = proxy.url
    cuts = len(proxy.plan)
    daemon = await place.start()
    await made(proxy, cuts, within_s)
    with timed() as back:
        await place.filled(await place.count("ORDER_FILL") + 2)
    say(cuts=proxy.done, trades_again_s=back[0], record=await settle(place, daemon))


async def test_replies_that_never_come_double_nothing(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    async with (
        whole(tmp_path, database_url, valkey_url) as place,
        order_proxy(place.place.url) as proxy,
    ):
        proxy.plan.extend(KNOWN_SOON * 3)
        await trade_through(place, proxy, within_s=40)


async def test_requests_that_never_arrive_are_not_sent_again(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    async with (
        whole(tmp_path, database_url, valkey_url) as place,
        order_proxy(place.place.url) as proxy,
    ):
        place.url = proxy.url
        proxy.plan.extend([Cut.LOST_REQUEST, Cut.HALF_REQUEST])
        daemon = await place.start()
        await made(proxy, 2, within_s=20)
        blocked = await daemon.until(lambda s: s["risk"]["blocked"])
        proxy.cut()
        await place.filled(await place.count("ORDER_FILL") + 2)
        say(blocked=blocked["risk"]["blocked"], record=await settle(place, daemon))


@pytest.mark.slow
@pytest.mark.skipif(not CUTS, reason="SEPD_CUTS=N makes N cuts of every kind")
@pytest.mark.timeout(3_600)
async def test_many_cuts(tmp_path: Path, database_url: str, valkey_url: str) -> None:
    async with (
        whole(tmp_path, database_url, valkey_url, seconds=36_000) as place,
        order_proxy(place.place.url) as proxy,
    ):
        plan = list(Cut) * CUTS
        random.Random(CUTS).shuffle(plan)
        proxy.plan.extend(plan)
        await trade_through(place, proxy, within_s=3_000)


async def test_lines_to_the_database_may_break(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    address, _, folder = database_url.partition("?host=")
    near = tmp_path / "near"
    near.mkdir()
    async with (
        UnixProxy(near / SOCKET, Path(folder) / SOCKET) as line,
        whole(tmp_path, database_url, valkey_url) as place,
    ):
        place.database = f"{address}?host={near}"
        daemon = await place.start()
        for _ in range(3):
            line.lose_reply_to = b"demo-polarity"
            await place.filled(await place.count("ORDER_FILL") + 2)
        assert line.lost == 3
        line.cut()
        assert await daemon.ended() == 1, daemon.tail()
        daemon = await place.recovered()
        say(lost=line.lost, record=await settle(place, daemon))
