"""What the tests stand on: real servers, real daemons, real worker processes, and one face for both clients."""
