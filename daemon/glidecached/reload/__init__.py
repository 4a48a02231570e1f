"""Reload: the configuration file read again by a daemon that runs.

`plan` says what would change and what stays, `source` is the file, `reloading` does it when SIGHUP comes.
"""
