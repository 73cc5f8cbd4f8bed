from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from sepd.cli.data import app
from sepd.errors import ConfigError, InputError
from sepd.market.tape import open_tape, sample_path

TICKS = """time,bid,ask
2014-05-01T00:00:00.292Z,1.38676,1.38686
2014-05-01T00:00:00.920Z,1.38676,1.38687
2014-05-01T00:00:30.000Z,nan,1.38687
2014-05-01T00:01:02.870Z,1.38675,1.38688
"""


class Data:
    """`sepd data` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = folder / "sepd.toml"
        self._config.write_text(f'data_dir = "{folder}"\n')

    def invoke(self, *arguments: str) -> Result:
        result = CliRunner().invoke(app, [*arguments, "--config", str(self._config)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str) -> tuple[int, Any]:
        result = self.invoke(*arguments, "--json")
        return result.exit_code, json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up logs for its own stderr, which ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def ticks(data: Data, text: str = TICKS) -> str:
    path = data.folder / "EUR_USD.tick.csv"
    path.write_text(text)
    return str(path)


def test_an_import_says_what_became_of_each_row(data: Data) -> None:
    code, report = data.json("import", ticks(data), "--candles", "M1")
    assert code == 0
    assert [(one["dataset"], one["rows"], one["added"]) for one in report] == [
        ("EUR_USD.tick", 3, 3),
        ("EUR_USD.M1", 2, 2),
    ]
    assert report[0]["rejected"] == {"nan": 1}
    code, again = data.json("import", ticks(data))
    assert (code, again[0]["added"], again[0]["known"]) == (0, 0, 3)


def test_an_import_of_other_prices_for_the_same_time_changes_nothing(data: Data) -> None:
    data.json("import", str(sample_path()))
    code, report = data.json("import", str(sample_path()), "--spread-points", "20")
    assert (code, report[0]["added"], report[0]["differing"]) == (1, 0, 5_000)
    assert data.json("verify")[0] == 0


def test_a_bad_file_is_refused_and_the_others_are_imported(data: Data) -> None:
    empty = data.folder / "NZD_USD.tick.csv"
    empty.write_text("")
    code, report = data.json("import", str(empty), ticks(data))
    assert code == 1
    assert "is empty" in report[0]["refused"]
    assert report[1]["added"] == 3


def test_the_stated_spread_is_part_of_the_provenance(data: Data) -> None:
    data.json("import", str(sample_path()))
    manifest = json.loads((data.folder / "history/EUR_USD.H1/manifest.json").read_text())
    request = manifest["segments"][0]["parts"][0]["origin"]["request"]
    assert request.startswith("EURUSD.csv sha256=")
    assert request.endswith("spread=10 points")


@pytest.mark.parametrize("name", ["EUR_USD.H1.csv", "EUR_USD.H1.parquet"])
def test_an_export_comes_back_as_the_same_rows(data: Data, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs the extra sepd[parquet]")
    data.json("import", str(sample_path()))
    file = tmp_path / name
    code, report = data.json("export", "EUR_USD.H1", str(file))
    assert (code, report[0]["rows"]) == (0, 5_000)
    (tmp_path / "other").mkdir()
    other = Data(tmp_path / "other")
    assert other.json("import", str(file))[1][0]["added"] == 5_000
    chains = [one.json("verify")[1][0]["chain"] for one in (data, other)]
    assert chains[0] == chains[1]


def test_a_part_can_be_exported(data: Data) -> None:
    data.json("import", str(sample_path()))
    file = data.folder / "EUR_USD.H1.csv"
    span = ("--from", "2017-05-01", "--to", "2017-05-02T12:00:00Z")
    code, report = data.json("export", "EUR_USD.H1", str(file), *span)
    assert (code, report[0]["rows"]) == (0, 36)
    assert open_tape(file).rows == 36


def test_verify_names_an_altered_row_and_exits_1(data: Data) -> None:
    data.json("import", str(sample_path()))
    path = min((data.folder / "history/EUR_USD.H1").glob("*.segment"))
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 1 + 8] ^= 1
    path.write_bytes(content)
    code, verdicts = data.json("verify")
    assert code == 1
    assert verdicts[0]["findings"][0]["place"] == "2017-04-19T09:00:00.000000000Z"


def test_gaps_are_listed_with_what_they_are(data: Data) -> None:
    data.json("import", str(sample_path()))
    code, report = data.json("gaps", "EUR_USD.H1")
    weekend = {"kind": "closed", "from": "2017-04-21T21:00:00.000000000Z"}
    assert any(weekend.items() <= one.items() for one in report)
    assert code == 0
    assert {one["kind"] for one in report} == {"closed"}


def test_missing_data_is_an_exit_status(data: Data) -> None:
    path = data.folder / "EUR_USD.H1.csv"
    lines = sample_path().read_text().splitlines()
    path.write_text("\n".join(["time,Open,High,Low,Close,Volume", *lines[1:10], *lines[20:30]]))
    data.json("import", str(path))
    code, report = data.json("gaps")
    assert (code, [one["kind"] for one in report]) == (1, ["missing"])


def test_without_json_a_person_reads_lines(data: Data) -> None:
    result = data.invoke("import", ticks(data))
    assert result.stdout == (
        "file EUR_USD.tick.csv, dataset EUR_USD.tick, rows 3, added 3, known 0, differing 0, "
        "rejected 1 nan\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify",), "No history in"),
        (("download", "EUR_USD"), "Say where to begin"),
        (("download", "EUR_USD", "--from", "2017-01-01", "--to", "2016-01-01"), "is not after"),
        (("download", "EUR_USD", "--from", "soon"), "is not a UTC time"),
    ],
)
def test_wrong_requests_are_refused_in_a_sentence(
    data: Data, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        data.invoke(*arguments)


def test_an_unknown_dataset_is_refused_with_those_that_exist(data: Data) -> None:
    data.json("import", ticks(data))
    with pytest.raises(InputError, match=r"No dataset EUR_USD\.M5; there is EUR_USD\.tick"):
        data.invoke("verify", "EUR_USD.M5")


def test_a_folder_that_is_a_file_is_a_configuration_error(data: Data) -> None:
    (data.folder / "history").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        data.invoke("import", ticks(data))


def test_download_without_credentials_is_a_configuration_error(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OANDA_API_KEY", raising=False)
    monkeypatch.delenv("OANDA_ACCOUNT_ID", raising=False)
    with pytest.raises(ConfigError, match="OANDA_API_KEY"):
        data.invoke("download", "EUR_USD", "--from", "2017-01-01")
