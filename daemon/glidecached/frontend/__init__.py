"""The clients' side: the socket, client connections, and each request from its arrival to its answer."""
