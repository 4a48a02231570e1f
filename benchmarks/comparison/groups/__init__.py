"""The groups of measures: each module has one `measure(stand, scale)`, or more, that returns a `Group`."""
