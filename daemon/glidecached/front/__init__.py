"""Where clients come in: the socket, who is asking, each request's way to its operation and its one answer."""
