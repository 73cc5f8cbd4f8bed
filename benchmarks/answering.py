"""A v20 server that fills every order and stops the trade at once; it costs little CPU.

`python -m benchmarks.answering` prints its port and answers until it is terminated. An order is
answered as OANDA does, with its creation and its fill; the transaction stream brings these and
four more rows: the trade's target and stop, the stop's fill, the target's cancellation. No trade
gains or loses. Bound to one account; it checks nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import uvloop

from benchmarks.market import PAIRS
from sepd.domain.time import format_time

ACCOUNT = "101-004-0000000-001"
BALANCE = "100000.00"
_PREFIX = f"/v3/accounts/{ACCOUNT}"
_HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_AT = format_time(1_489_579_200_000_000_000)


class Account:
    """Rows of the account, as JSON, oldest first; ids count from 1."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.streams: list[asyncio.Transport] = []

    def add(self, kind: str, fields: dict[str, object]) -> bytes:
        """Append a row."""
        number = len(self.rows) + 1
        head = {"id": str(number), "type": kind, "time": _AT, "accountID": ACCOUNT}
        self.rows.append(msgspec.json.encode(head | fields))
        return self.rows[-1]

    def place(self, body: bytes) -> bytes:
        """Fill the order and stop its trade; the answer."""
        order = msgspec.json.decode(body)["order"]
        client, units, name = order["clientExtensions"]["id"], order["units"], order["instrument"]
        opposite = units[1:] if units.startswith("-") else f"-{units}"
        stop, target = order["stopLossOnFill"]["price"], order["takeProfitOnFill"]["price"]
        first = len(self.rows) + 1
        order_id, trade_id, target_id, stop_id = map(str, range(first, first + 4))
        money = {"pl": "0", "financing": "0", "accountBalance": BALANCE, "instrument": name}
        created = self.add(
            "MARKET_ORDER",
            {
                "instrument": name,
                "units": units,
                "reason": "CLIENT_ORDER",
                "clientExtensions": {"id": client},
            },
        )
        opened = {"tradeID": trade_id, "units": units, "clientExtensions": {"id": client}}
        filled = self.add(
            "ORDER_FILL",
            {
                "orderID": order_id,
                "units": units,
                "price": order["priceBound"],
                "reason": "MARKET_ORDER",
                "clientOrderID": client,
                "tradeOpened": opened,
                **money,
            },
        )
        on_fill = {"tradeID": trade_id, "reason": "ON_FILL"}
        self.add("TAKE_PROFIT_ORDER", {"price": target, **on_fill})
        self.add("STOP_LOSS_ORDER", {"price": stop, **on_fill})
        closed = [{"tradeID": trade_id, "units": opposite, "realizedPL": "0"}]
        self.add(
            "ORDER_FILL",
            {
                "orderID": stop_id,
                "units": opposite,
                "price": stop,
                "reason": "STOP_LOSS_ORDER",
                "tradesClosed": closed,
                **money,
            },
        )
        self.add("ORDER_CANCEL", {"orderID": target_id, "reason": "LINKED_TRADE_CLOSED"})
        return (
            b'{"orderCreateTransaction":%b,"orderFillTransaction":%b,"lastTransactionID":"%d"}'
            % (
                created,
                filled,
                len(self.rows),
            )
        )

    def publish(self, first: int) -> None:
        """Write the rows from `first` on to whoever streams."""
        self._stream(b"".join(row + b"\n" for row in self.rows[first:]))

    async def beat(self) -> None:
        """Say every 5 s that the stream lives."""
        while True:
            await asyncio.sleep(5)
            head = {"type": "HEARTBEAT", "time": _AT, "lastTransactionID": str(len(self.rows))}
            self._stream(msgspec.json.encode(head) + b"\n")

    def _stream(self, lines: bytes) -> None:
        for stream in self.streams:
            stream.write(b"%x\r\n%b\r\n" % (len(lines), lines))

    def snapshot(self) -> bytes:
        """The whole account: no trade is ever open."""
        account = {"id": ACCOUNT, "currency": "USD", "balance": BALANCE, "NAV": BALANCE}
        account |= {"marginUsed": "0", "marginAvailable": BALANCE}
        return msgspec.json.encode({"account": account, "lastTransactionID": str(len(self.rows))})

    def since(self, number: int) -> bytes:
        """Every row after `number`."""
        rows = b",".join(self.rows[number:])
        return b'{"transactions":[%b],"lastTransactionID":"%d"}' % (rows, len(self.rows))


class Answering(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was
        """Forget a stream."""
        if self._transport in self._account.streams:
            self._account.streams.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            _, _, size = head.lower().partition(b"content-length:")
            length = int(size.partition(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target, _ = head.decode("ascii").split(" ", 2)
            self._answer(method, target.removeprefix(_PREFIX), rest[:length])

    def _answer(self, method: str, target: str, body: bytes) -> None:
        path, _, query = target.partition("?")
        account = self._account
        if method == "POST" and path == "/orders":
            first = len(account.rows)
            self._write(account.place(body), status=201)
            account.publish(first)
        elif path == "/transactions/stream":
            self._transport.write(_STREAM)
            account.streams.append(self._transport)
        elif path == "/transactions/sinceid":
            self._write(account.since(int(query.removeprefix("id="))))
        elif path == "/instruments":
            self._write(_INSTRUMENTS)
        else:
            self._write(account.snapshot())

    def _write(self, body: bytes, status: int = 200) -> None:
        self._transport.write(_HEAD % (status, len(body)) + body)


_INSTRUMENTS = msgspec.json.encode(
    {
        "instruments": [
            {"name": name, "type": "CURRENCY", "displayPrecision": 5, "pipLocation": -4}
            for name in PAIRS
        ],
        "lastTransactionID": "0",
    }
)


async def main() -> None:
    """Serve on a free port until terminated."""
    account = Account()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(account), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(account.beat())
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
