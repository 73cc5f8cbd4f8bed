"""What OANDA's own API description (Swagger 3.0.25 of 2018) says of an answer.

Where that is stale the difference is listed here with its reason; anything else is a fault.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp
from jsonschema import Draft4Validator

from tests.support.venue_process import Venue

NEWER = {
    "dividendAdjustment": "accounts, trades and positions carry it since CFD dividends",
    "homeConversionFactors": "the newer spelling of a fill's conversion factors",
    "closedTradeID": "cancelled dependents name the trade that closed",
    "tradeCloseTransactionID": "cancelled dependents name the fill that closed it",
    "clientTradeID": "parts of fills name the client's trade id",
    "timestamp": "a fill's fullPrice uses timestamp for time (recorded)",
    "guaranteedStopLossOrderMode": "instruments have a mode of their own",
    "tags": "instruments carry tags",
    "financing": "instruments carry their financing rates",
    "requestID": "part of every transaction",
    "intendedReplacesOrderID": "any reject of a replacement carries it",
}
STALE_TYPES = {"liquidity": "an integer in prices, but text inside a fill's fullPrice (recorded)"}


class Description:
    """The description, and what was found that it does not describe."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.described = described
        self.faults: list[str] = []

    def check(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Types and enums by jsonschema, then each object's fields by name."""
        full = {**schema, "definitions": self.described["definitions"]}
        for error in Draft4Validator(full).iter_errors(value):
            if error.absolute_path and error.absolute_path[-1] in STALE_TYPES:
                continue
            self.faults.append(f"{where}: {list(error.absolute_path)}: {error.message}")
        self._names(value, schema, where)

    def _names(self, value: Any, schema: dict[str, Any], where: str) -> None:
        schema = self._resolve(value, schema)
        if isinstance(value, list):
            for item in value:
                self._names(item, schema.get("items", {}), where)
        if not isinstance(value, dict) or not schema.get("properties"):
            return
        for key, item in value.items():
            known = schema["properties"].get(key)
            if known is None and key not in NEWER:
                self.faults.append(f"{where}: unknown field {key!r} in {sorted(value)}")
            if known is not None and (known.get("$ref") or "items" in known):
                self._names(item, known, f"{where}.{key}")

    def _resolve(self, value: Any, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        if isinstance(value, dict) and name in ("Transaction", "Order"):
            name = self._concrete(value, name)
            full = {"$ref": f"#/definitions/{name}", "definitions": self.described["definitions"]}
            for error in Draft4Validator(full).iter_errors(value):
                if not (error.absolute_path and error.absolute_path[-1] in STALE_TYPES):
                    self.faults.append(f"{name}: {list(error.absolute_path)}: {error.message}")
        return self.described["definitions"][name] if name else schema

    def _concrete(self, value: dict[str, Any], base: str) -> str:
        words = "".join(word.capitalize() for word in value["type"].split("_"))
        name = f"{words}{base}"
        assert name in self.described["definitions"], name
        return name


class Checker:
    """Calls the venue and checks each answer against the description."""

    def __init__(self, venue: Venue, session: aiohttp.ClientSession, described: Any) -> None:
        self.venue = venue
        self.session = session
        self.described = described
        self.description = Description(described)
        self.called: set[tuple[str, str]] = set()

    async def call(
        self, method: str, path: str, body: Any = None, status: int = 200, **query: Any
    ) -> Any:
        """Call `path` below /v3 (`A` is the account) and return its checked JSON."""
        path = path.replace("A/", f"accounts/{self.venue.account_id}/", 1)
        path = path.rstrip("/")
        kwargs = {} if body is None else {"json": body}
        url = f"{self.venue.url}/v3/{path}"
        async with self.session.request(method, url, params=query, **kwargs) as response:
            answer = await response.json()
            assert response.status == status, answer
            assert response.headers["RequestID"]
        template = self._template(method, urlsplit(url).path)
        self.called.add((method, template))
        responses = self.described["paths"][template.removeprefix("/v3")][method.lower()][
            "responses"
        ]
        schema = responses.get(str(status), {})
        if "$ref" in schema:
            schema = self.described["responses"][schema["$ref"].rpartition("/")[2]]
        self.description.check(answer, schema.get("schema", {}), f"{method} {template} {status}")
        return answer

    def _template(self, method: str, path: str) -> str:
        parts = path.removeprefix("/v3").split("/")
        best = ""
        for template, methods in self.described["paths"].items():
            wanted = template.split("/")
            same = len(wanted) == len(parts) and all(
                a == b or a.startswith("{") for a, b in zip(wanted, parts, strict=True)
            )
            if (
                same
                and method.lower() in methods
                and template.count("{") < (best or "{" * 9).count("{")
            ):
                best = template
        assert best, f"{method} {path} is not in the description"
        return f"/v3{best}"
