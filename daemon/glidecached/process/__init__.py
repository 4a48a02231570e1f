"""The daemon's process: event loop, systemd, watchdog, limits, locks."""
