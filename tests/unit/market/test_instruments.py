from __future__ import annotations

import pytest

from sepd.errors import InputError
from sepd.market.instruments import instrument_in, instrument_named


@pytest.mark.parametrize(
    ("name", "precision", "points_per_pip"),
    [("EUR_USD", 5, 10), ("USD_JPY", 3, 10), ("EUR_HUF", 3, 10), ("XAU_USD", 3, 10)],
)
def test_prices_have_the_precision_that_oanda_quotes(
    name: str, precision: int, points_per_pip: int
) -> None:
    one = instrument_named(name)
    assert (one.name, one.display_precision, one.points_per_pip) == (
        name,
        precision,
        points_per_pip,
    )


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("EUR_USD.tick.csv.gz", "EUR_USD"),
        ("EURUSD.csv", "EUR_USD"),
        ("eurusd.zip", "EUR_USD"),
        ("20140501_nzdusd_minute_quote.csv", "NZD_USD"),
        ("HISTDATA_COM_ASCII_EURUSD_M1_2012.zip", "EUR_USD"),
        ("DAT_MT_USDJPY_M1_2012.csv", "USD_JPY"),
        ("US30_USD.M1.csv", "US30_USD"),
        ("notes.csv", None),
        ("minute.csv", None),
        ("", None),
    ],
)
def test_a_file_name_tells_the_instrument(file: str, name: str | None) -> None:
    found = instrument_in(file)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("name", ["EURUSD", "eur_usd", "EUR_USD ", "", "_", "EUR_USDT", "É_USD"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not an instrument's name"):
        instrument_named(name)
