#!/usr/bin/env python3
"""Record what GLIDE's Python clients offer and return, for the tests that compare with it.

    pip install '.[dev,bench]'; PYTHONPATH=client:shared:tests tools/record_glide.py

The tests read the files, so that they need no GLIDE; where it is installed they check that nothing has changed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from support.glide_record import record
from support.glide_replies import glide_replies
from support.valkey_server import ValkeyServer

TESTS = Path(__file__).resolve().parent.parent / "tests"


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file, with a line for each item of each part, so that another version's differences can be read."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in value.items()]
            text = "{\n" + ",\n".join(rows) + "\n}"
        elif isinstance(value, list) and isinstance(value[0], list):
            text = "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
        else:
            text = json.dumps(value)
        parts.append(f"{json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def main() -> None:
    """Write both files."""
    write(TESTS / "unit" / "client" / "glide.json", record())
    with tempfile.TemporaryDirectory(prefix="glidecached-record-") as directory:
        server = ValkeyServer(Path(directory))
        server.start()
        try:
            write(TESTS / "integration" / "commands" / "replies.json", glide_replies(server, "RESP3"))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
