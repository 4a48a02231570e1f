"""The daemon under a service manager: `manager` speaks its protocol, `supervision` says when to speak.

Without a service manager (no `$NOTIFY_SOCKET`) nothing here does anything.
"""
