"""`sepd bench engine`."""

import json

from typer.testing import CliRunner

from sepd.bitspace.golden import golden_cases
from sepd.cli.bench import app


def test_the_figures_come_as_one_json_document() -> None:
    result = CliRunner().invoke(app, ["engine", "--json", "--windows", "4096"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["golden_rows"] == sum(case.stream.length for case in golden_cases())
    for name in ("metrics", "damped"):
        rate = document["cpu"][name]
        assert rate["windows"] == 4096
        assert round(rate["windows_per_s"] * rate["seconds"]) == 4096
    assert document["cpu"]["stream_damped_ns"] > 0
    assert ("cuda" in document) != ("cuda_missing" in document)


def test_the_figures_come_as_text() -> None:
    result = CliRunner().invoke(app, ["engine", "--windows", "4096"])
    assert result.exit_code == 0, result.output
    assert "CPU metrics + damping" in result.stdout
    assert "GPU" in result.stdout
