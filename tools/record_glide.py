#!/usr/bin/env python3
"""Record what GLIDE's Python clients offer, for the tests that compare: tests/unit/client/glide.json.

    pip install valkey-glide valkey-glide-sync; PYTHONPATH=tests tools/record_glide.py

The tests read the file, so that they need no GLIDE; where it is installed they check that the file is not out of date.
"""

from __future__ import annotations

import json
from pathlib import Path

from support.glide_record import record

TARGET = Path(__file__).resolve().parent.parent / "tests" / "unit" / "client" / "glide.json"


def main() -> None:
    """Write the file: a line for each method, class and name, so that another version's differences can be read."""
    parts = []
    for key, value in record().items():
        if isinstance(value, dict):
            rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in value.items()]
            parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(rows) + "\n}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    TARGET.write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
