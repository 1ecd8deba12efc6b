"""``lakefront`` and ``python -m lakefront``."""

import sys

from lakefront.server.cli import app
from lakefront.server.cli.common import explain


def main() -> None:
    """Run the command line; a failure that has an explanation ends in one line of it and exit code 1."""
    try:
        app()
    except Exception as error:
        explanation = explain(error)
        if explanation is None:
            raise
        print(f"lakefront: {explanation}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
