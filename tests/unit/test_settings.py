"""Settings: what is wrong is named with its file, its key and the nearest right name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sepd.domain.market import Granularity
from sepd.errors import ConfigError
from sepd.resources import data_dir
from sepd.settings_sources import find_credentials, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "VALKEY_URL", "OANDA_API_KEY", "OANDA_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "sepd.toml"
    file.write_text(text)
    return file


def refused(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    return str(caught.value)


def test_defaults_need_no_file() -> None:
    settings = load_settings()
    assert settings.mode == "paper"
    assert settings.market.all_granularities[0] is Granularity.M1


def test_an_unknown_key_names_file_key_and_the_nearest_right_name(empty_folder: Path) -> None:
    file = write(empty_folder, "[risk]\nmax_unit = 5\n")
    assert refused(file) == f"{file}: unknown key 'risk.max_unit'. Did you mean 'max_units'?"


def test_an_unknown_section_is_refused(empty_folder: Path) -> None:
    file = write(empty_folder, "[rsk]\nmax_units = 5\n")
    assert "unknown key 'rsk'. Did you mean 'risk'?" in refused(file)


def test_an_ill_typed_value_names_file_and_key(empty_folder: Path) -> None:
    file = write(empty_folder, "[api]\nport = 'eighty'\n")
    assert refused(file).startswith(f"{file}: api.port: Input should be a valid integer")


def test_all_mistakes_are_named_at_once(empty_folder: Path) -> None:
    file = write(empty_folder, "mode = 'papr'\n[market]\nbase = 'M7'\n")
    assert len(refused(file).splitlines()) == 2


def test_broken_toml_and_missing_files_are_sentences(empty_folder: Path) -> None:
    assert "is not valid TOML" in refused(write(empty_folder, "mode = 'pap"))
    assert "cannot be read: No such file" in refused(empty_folder / "none.toml")


def test_a_rule_on_candles_that_are_not_built_is_refused(empty_folder: Path) -> None:
    file = write(empty_folder, "[rule]\ngranularities = ['H4']\n")
    assert "rule.granularities: H4 not built" in refused(file)


def test_the_environment_wins_over_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(empty_folder, "instruments = ['EUR_USD']\n[api]\nport = 1\n")
    monkeypatch.setenv("SEPD_API__PORT", "2")
    monkeypatch.setenv("SEPD_INSTRUMENTS", "EUR_USD,USD_JPY")
    settings = load_settings(file)
    assert settings.api.port == 2
    assert settings.instruments == ("EUR_USD", "USD_JPY")


def test_a_mistyped_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEPD_RSK__MAX_UNITS", "5")
    with pytest.raises(ConfigError, match="unknown variable SEPD_RSK__MAX_UNITS"):
        load_settings()
    monkeypatch.delenv("SEPD_RSK__MAX_UNITS")
    monkeypatch.setenv("SEPD_RISK__MAX_UNIT", "5")
    with pytest.raises(ConfigError, match="SEPD_RISK__MAX_UNIT in the environment"):
        load_settings()


def test_credentials_come_from_the_credentials_directory_first(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "config").mkdir()
    (empty_folder / "config/OANDA.env").write_text("OANDA_API_KEY=file\nOANDA_ACCOUNT_ID=001\n")
    assert load_settings().broker.account_id == "001"
    monkeypatch.setenv("OANDA_API_KEY", "environment")
    assert load_settings().broker.api_key.get_secret_value() == "environment"
    (empty_folder / "sealed").mkdir()
    (empty_folder / "sealed/OANDA.env").write_text("OANDA_API_KEY=sealed\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(empty_folder / "sealed"))
    assert load_settings().broker.api_key.get_secret_value() == "sealed"
    places = find_credentials({"CREDENTIALS_DIRECTORY": str(empty_folder / "sealed")})
    assert places["OANDA_API_KEY"][1].endswith("sealed/OANDA.env")


def test_secrets_do_not_show_in_a_printed_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OANDA_API_KEY", "canary-7f3a")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-7f3a@db/x")
    settings = load_settings()
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()


def test_the_version_names_what_decides_and_nothing_else() -> None:
    base = load_settings().version
    assert load_settings(overrides={"api": {"port": 1}}).version == base
    assert load_settings(overrides={"broker": {"api_key": "x"}}).version == base
    assert load_settings(overrides={"broker": {"ready_connections": 0}}).version == base
    assert load_settings(overrides={"risk": {"stop_pips": "31"}}).version != base


def test_the_commented_file_states_the_defaults() -> None:
    shipped = load_settings(data_dir("config") / "sepd.toml")
    assert shipped.model_dump() == load_settings().model_dump()


def test_the_commented_file_names_every_setting_but_the_credentials() -> None:
    named = tomllib.loads((data_dir("config") / "sepd.toml").read_text("utf-8"))
    for name, value in load_settings().model_dump().items():
        if isinstance(value, dict):
            assert set(value) - set(named[name]) <= {"api_key", "account_id", "url"}, name
