"""Where clients connect: the socket, their connections, and each request on its way to its handler and answer."""
