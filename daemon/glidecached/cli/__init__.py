"""The two commands: `glidecached` runs the daemon, `glidecache` asks it."""
