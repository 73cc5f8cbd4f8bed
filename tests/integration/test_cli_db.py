"""`sepd db` as a person uses it: exit statuses, JSON, sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sepd.cli.app import run
from sepd.storage.embedded import EmbeddedPostgres


class Database:
    """A settings file that names a database, and the command line run with it."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        folder.mkdir(exist_ok=True)
        self._file = folder / "sepd.toml"
        self._file.write_text(f'data_dir = "{folder}"\n[database]\nurl = "{url}"\n')
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error of `sepd db …`."""
        status = run(["db", *words, "--config", str(self._file)])
        return status, *self._capsys.readouterr()


@pytest.fixture
def empty(empty_database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Database:
    return Database(tmp_path, empty_database_url, capsys)


def test_a_database_is_migrated_once_and_told_of_truly(empty: Database) -> None:
    status, out, _ = empty("status", "--json")
    assert (status, json.loads(out)["pending"][0]) == (1, "0001_tables")
    status, out, _ = empty("migrate", "--json")
    assert (status, json.loads(out)["applied"][0]) == (0, "0001_tables")
    assert empty("migrate")[:2] == (0, "The schema is up to date.\n")
    status, out, _ = empty("status", "--json")
    found = json.loads(out)
    assert (status, found["ok"], found["pending"]) == (0, True, [])
    assert (found["audit"]["rows"], found["audit"]["first_bad"]) == (0, None)
    status, out, _ = empty("status")
    assert status == 0
    assert "whole" in out


def test_a_backup_fills_an_empty_database_and_no_other(
    empty: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Database(tmp_path / "full", database_url, capsys)
    file = str(tmp_path / "backup.dump")
    status, out, _ = full("backup", file, "--json")
    assert (status, json.loads(out)["bytes"]) == (0, Path(file).stat().st_size)
    status, out, _ = empty("restore", file, "--json")
    assert (status, json.loads(out)["first_bad"]) == (0, None)
    status, out, error = empty("restore", file)
    assert (status, out) == (78, "")
    assert "holds sepd's tables already" in error


def test_a_file_that_is_no_backup_is_refused(empty: Database, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    status, _, error = empty("restore", str(tmp_path / "text"))
    assert (status, "is not a backup" in error) == (2, True)
    status, _, error = empty("restore", str(tmp_path / "nothing"))
    assert (status, "cannot be read: No such file" in error) == (2, True)


def test_refresh_says_what_it_did(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = Database(tmp_path, database_url, capsys)("refresh", "--json")
    assert (status, json.loads(out)) == (0, {"days": 0, "blocks": 0, "dropped": 0})


def test_a_database_that_is_away_is_a_sentence_without_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = Database(tmp_path, "postgresql://sepd:hunter2@127.0.0.1:1/sepd", capsys)
    for command in (["status"], ["migrate"], ["backup", str(tmp_path / "b")]):
        status, out, error = away(*command)
        assert (status, out) == (1, "")
        assert "127.0.0.1" in error
        assert "hunter2" not in error
        assert "Traceback" not in error
    assert list(tmp_path.glob("b*")) == []


def test_without_an_address_the_carried_server_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Database(tmp_path, "", capsys)
    assert own("migrate")[0] == 0
    assert own("status")[0] == 0


async def test_the_server_of_a_running_daemon_is_used_beside_it(tmp_path: Path) -> None:
    from sepd.cli.db import database_url
    from sepd.settings import Settings

    async with (
        EmbeddedPostgres(tmp_path / "postgres") as server,
        database_url(Settings(data_dir=tmp_path)) as url,
    ):
        assert url == server.url
