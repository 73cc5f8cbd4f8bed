from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from sepd.market.tape import sample_path


def import_sample(folder: Path, stderr: int, *options: str) -> subprocess.CompletedProcess[bytes]:
    config = folder / "sepd.toml"
    config.write_text(f'data_dir = "{folder}"\n')
    command = (sys.executable, "-m", "sepd", "data", "import", str(sample_path()))
    return subprocess.run(
        [*command, "--config", str(config), *options],
        stdout=subprocess.PIPE,
        stderr=stderr,
        check=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )


def test_progress_is_drawn_on_a_terminal_and_kept_from_stdout(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = import_sample(tmp_path, theirs)
    os.close(theirs)
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "1/1" in drawn
    assert "5,000 rows" in drawn
    assert done.stdout.startswith(b"file EURUSD.csv, dataset EUR_USD.H1, rows 5000, added 5000")


def test_no_progress_is_drawn_with_json_or_without_a_terminal(tmp_path: Path) -> None:
    assert import_sample(tmp_path, subprocess.PIPE).stderr == b""
    ours, theirs = pty.openpty()
    import_sample(tmp_path, theirs, "--json")
    os.set_blocking(ours, False)
    os.close(theirs)
    try:
        drawn = os.read(ours, 100)
    except OSError:
        drawn = b""
    os.close(ours)
    assert drawn == b""
