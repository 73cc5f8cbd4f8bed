from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from typer.testing import CliRunner

from sepd.cli.data import app
from sepd.market.tape import sample_path
from tests.support.history import run_apart


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up logs for its own stderr, which ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def data(tmp_path: Path, database_url: str) -> Path:
    """Configuration of a data folder and a database of the test's own."""
    config = tmp_path / "sepd.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[database]\nurl = "{database_url}"\n')
    return config


def invoke(config: Path, *arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, [*arguments, "--config", str(config), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


async def test_an_imported_candle_altered_in_the_database_is_named(
    data: Path, database_url: str
) -> None:
    code, report = await run_apart(invoke, data, "import", str(sample_path()), "--store")
    assert (code, report[0]["added"]) == (0, 5_000)
    code, verdicts = await run_apart(invoke, data, "verify", "--store")
    assert (code, verdicts[0]["stored"], verdicts[0]["findings"]) == (0, 5_000, [])
    connection = await asyncpg.connect(database_url)
    source = await connection.fetchval("SELECT DISTINCT source FROM market_data")
    await connection.execute(
        "UPDATE market_data SET bid_close = bid_close + 1 WHERE timestamp = '2017-05-02 10:00Z'"
    )
    await connection.close()
    assert source == f"EUR_USD.H1@{verdicts[0]['chain'][:16]}"
    code, verdicts = await run_apart(invoke, data, "verify", "--store")
    assert code == 1
    (finding,) = verdicts[0]["findings"]
    assert finding["place"] == "2017-05-02T10:00:00.000000000Z"
    assert finding["what"] == "the database has other prices: bid_close"
