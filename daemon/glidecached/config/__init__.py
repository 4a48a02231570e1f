"""The configuration: `schema` is the file's form, `load` reads and checks it, `resolved` is what the daemon gets."""
