"""`python -m sepd` and the `sepd` command."""

from __future__ import annotations

import sys

from sepd.cli.app import run


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
