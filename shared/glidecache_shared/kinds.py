"""The kinds of entry that a pool holds (contract C1, C2), as numbered in shared memory and on the wire."""

STRING = 1
HASH = 2
SET = 3

KIND_NAMES = {STRING: "string", HASH: "hash", SET: "set"}

COMMANDS = {STRING: b"GET", HASH: b"HGETALL", SET: b"SMEMBERS"}
"""The command that a miss of each kind sends upstream."""

KINDS = {command: kind for kind, command in COMMANDS.items()}
