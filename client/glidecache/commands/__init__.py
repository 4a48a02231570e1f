"""One plan function per command, a module per family; `tools/generate_commands.py` makes the clients' methods of them."""
