"""The guard of file sizes: a file that can be read at one sitting. ``python -m tests.sizes`` lists what is longer."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 400
MOST_FUNCTION_LINES = 60
ROOT = Path(__file__).parent.parent


def too_long() -> Iterator[str]:
    """Files and functions past the limits; migrations may be long, as they are read once."""
    for room in ("lakefront", "tests", "bench"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" in path.parts or "node_modules" in path.parts:
                continue
            text = path.read_text()
            lines = text.count("\n")
            name = path.relative_to(ROOT)
            if lines > MOST_LINES:
                yield f"{name}: {lines} lines; at most {MOST_LINES}. Make it a folder of named parts."
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > MOST_FUNCTION_LINES:
                        yield f"{name}:{node.lineno} {node.name}: {length} lines; at most {MOST_FUNCTION_LINES}."


if __name__ == "__main__":
    found = list(too_long())
    print("\n".join(found) or "No file and no function is too long.")
    sys.exit(bool(found))
