"""The log: one line per event on standard error, in `key=value` form, and no event repeated without limit.

`lines` is the form, `repeats` holds back events that come too often, `handler` joins them and detects the journal.
"""
