"""Where settings come from: TOML, environment, credential files, command line.

Precedence, highest first: command-line options; the published variables (`DATABASE_URL`,
`VALKEY_URL`, `OANDA_API_KEY`, `OANDA_ACCOUNT_ID`), looked for in files of
`$CREDENTIALS_DIRECTORY`, the environment, and files of `config/`, `/app/config/`, `/etc/sepd/`;
`SEPD_SECTION__KEY` of the environment; the TOML file; the defaults of `sepd.settings`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from sepd.errors import ConfigError
from sepd.settings import Settings

CREDENTIAL_FILES = ("OANDA.env", ".sep-config.env")
PUBLISHED = {
    "DATABASE_URL": ("database", "url"),
    "VALKEY_URL": ("cache", "url"),
    "OANDA_API_KEY": ("broker", "api_key"),
    "OANDA_ACCOUNT_ID": ("broker", "account_id"),
}
NOT_SETTINGS = frozenset({"SEPD_DATA", "SEPD_FAILPOINT"})


def credential_dirs(environ: Mapping[str, str]) -> list[Path]:
    """Folders searched for credential files, the first match of a variable wins."""
    named = [Path(environ["CREDENTIALS_DIRECTORY"])] if environ.get("CREDENTIALS_DIRECTORY") else []
    return [*named, Path("config"), Path("/app/config"), Path("/etc/sepd")]


def find_credentials(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Each published variable that is set: its value and the place it came from."""
    files = {
        str(folder / name): dotenv_values(folder / name)
        for folder in credential_dirs(environ)
        for name in CREDENTIAL_FILES
        if (folder / name).is_file()
    }
    first = environ.get("CREDENTIALS_DIRECTORY") or "\0"
    places: list[tuple[str, Mapping[str, str | None]]] = [
        *(item for item in files.items() if item[0].startswith(first)),
        ("the environment", environ),
        *(item for item in files.items() if not item[0].startswith(first)),
    ]
    found: dict[str, tuple[str, str]] = {}
    for key in PUBLISHED:
        for place, values in places:
            value = values.get(key)
            if value:
                found[key] = (value, place)
                break
    return found


def load_settings(
    path: Path | None = None, *, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read and validate.

    Args:
        path: TOML file; None takes `config/sepd.toml` if it exists.
        overrides: nested values that win over all else (command-line options).

    Raises:
        ConfigError: names the key, its file and, for a typo, the nearest right name.
    """
    file = path or Path("config/sepd.toml")
    _refuse_unknown_variables()
    published: dict[str, Any] = {}
    for key, (value, _) in find_credentials(os.environ).items():
        section, name = PUBLISHED[key]
        published.setdefault(section, {})[name] = value

    class Loaded(Settings):
        """`Settings` bound to one file."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            credentials = InitSettingsSource(settings_cls, published)
            toml = TomlConfigSettingsSource(settings_cls, file)
            return init_settings, credentials, env_settings, toml

    try:
        if path is not None:
            path.read_bytes()
        return Loaded(**(overrides or {}))
    except ValidationError as error:
        raise ConfigError(_explain(error, file)) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}.") from None


def _refuse_unknown_variables() -> None:
    """A mistyped `SEPD_…` variable must not be ignored in silence."""
    sections = list(Settings.model_fields)
    for key in os.environ:
        name = key.removeprefix("SEPD_").split("__")[0].lower()
        if key.startswith("SEPD_") and key not in NOT_SETTINGS and name not in sections:
            raise ConfigError(f"The environment: unknown variable {key}.{_hint(name, sections)}")


def _explain(error: ValidationError, file: Path) -> str:
    """One sentence per mistake: where, key, what is wrong, what would be right."""
    sentences = []
    for item in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in item["loc"]]
        variable = "SEPD_" + "__".join(path).upper()
        origin = f"{variable} in the environment" if variable in os.environ else str(file)
        key = ".".join(path) or "settings"
        if item["type"] == "extra_forbidden":
            hint = _hint(path[-1], _names(path[:-1]))
            sentences.append(f"{origin}: unknown key {key!r}.{hint}")
        else:
            sentences.append(f"{origin}: {key}: {item['msg'].removeprefix('Value error, ')}.")
    return "\n".join(sentences)


def _hint(name: str, right: list[str]) -> str:
    near = difflib.get_close_matches(name, right, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _names(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        annotation = model.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
