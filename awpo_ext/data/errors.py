"""The one error of the data commands: something the user can fix, said in a sentence. Not for bugs."""

from reward_models.errors import UserError


class DataError(UserError):
    """A source, an option or a row that cannot be used; the message names it and says what to do."""
