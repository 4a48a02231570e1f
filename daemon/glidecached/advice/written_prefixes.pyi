"""The prefixes of keys that were written while they were cached, the commonest ones. For the loop's thread."""

class WrittenPrefixes:
    """Counts of prefixes in a bounded table (Metwally et al., Space-Saving, 2005).

    A key's prefix goes to the first `:`, `/` or `|` behind a letter; without one to the first `.`, `-` or `_`; without
    one to before the first digit behind a letter. It is at most 64 bytes long. A key of digits alone has none.
    """

    total: int
    """The number of keys counted, also of those without a prefix."""

    def count(self, key: bytes) -> None:
        """Count the prefix of one key."""

    def commonest(self) -> list[str]:
        """Return at most 16 prefixes, the commonest first: those that surely are of a hundredth of the keys or more."""
