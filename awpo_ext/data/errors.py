"""The errors of the data commands: something the user can fix, said in a sentence. Not for bugs."""

from reward_models.errors import UserError


class DataError(UserError):
    """A source, an option or a row that cannot be used; the message names it and says what to do."""


class OddRecord(DataError):
    """One record that cannot be used. `kind` is the same text for all records with this fault, to count them by."""

    def __init__(self, kind: str, where: str, detail: str = "") -> None:
        super().__init__(f"{where}: {kind}{': ' + detail if detail else ''}")
        self.kind = kind
