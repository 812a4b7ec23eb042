"""The one error of the data commands: something the user can fix, said in a sentence. Not for bugs."""


class DataError(Exception):
    """A source, an option or a row that cannot be used; the message names it and says what to do."""
