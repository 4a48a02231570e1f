"""What both kinds of client share: a command's execution, the session, the connection to the daemon."""
