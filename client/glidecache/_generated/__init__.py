"""The clients' and batches' command methods, written by `tools/generate_commands.py` from the plans."""
