"""The common parts of both kinds of client: command execution, the session, the connection to the daemon."""
