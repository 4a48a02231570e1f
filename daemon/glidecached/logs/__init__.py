"""What the daemon says: one line an event on standard error, in `key=value` form, and no event without end.

`lines` is the form, `repeats` holds back what comes too often, `handler` joins them and knows the journal.
"""
