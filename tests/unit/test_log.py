"""Secrets never reach a log line."""

from __future__ import annotations

import pytest

from sepd.log import REDACTED, redact, redact_text


@pytest.mark.parametrize("key", ["api_key", "token", "Authorization", "db_password", "secret"])
def test_values_of_secret_named_keys_are_replaced(key: str) -> None:
    assert redact(None, "info", {key: "canary", "event": "x"}) == {key: REDACTED, "event": "x"}


def test_bearer_tokens_and_url_passwords_are_cut_out_of_text() -> None:
    text = "GET https://u:canary@db/x with Bearer canary-1 failed"
    assert "canary" not in redact_text(text)
    assert "https://u:" in redact_text(text)
    assert redact_text("redis://:canary@host:6379/0") == f"redis://:{REDACTED}@host:6379/0"


def test_plain_text_stays() -> None:
    assert redact_text("EUR_USD at http://127.0.0.1:8080/status") == (
        "EUR_USD at http://127.0.0.1:8080/status"
    )
