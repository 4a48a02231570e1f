"""The protocol between clients and the daemon on the wire: ZMTP frames, msgpack, and queues of bytes to send."""
