"""Names for test cases."""


def kind(value):
    """The kind of a statement: its text may hold the address of a function, which no two processes share."""
    return str(value) if isinstance(value, bool) else type(value).__name__
