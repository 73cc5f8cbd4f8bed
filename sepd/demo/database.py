"""The demo's own database, empty at every start."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sepd.errors import ConfigError
from sepd.storage.faults import database_errors

DATABASE = "sepd_demo"
CONNECT_S = 10.0


async def empty_database(url: str) -> str:
    """Address of the demo's own database, made anew on the server of `url`."""
    with database_errors(url):
        admin = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {DATABASE}")
        except asyncpg.InsufficientPrivilegeError:
            raise ConfigError(
                f"The demo may not make its database {DATABASE} there. "
                "Give the user of DATABASE_URL the right CREATEDB."
            ) from None
        finally:
            await admin.close()
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{DATABASE}"))
