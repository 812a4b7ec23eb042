"""What stops an evaluation, and what only concerns one of its answers."""

from reward_models.errors import UserError


class EvalError(UserError):
    """A mistake that the user can fix; the message says how."""


class EndpointLost(EvalError):
    """The endpoint cannot be used any more. What was answered is kept."""


class NoAnswer(Exception):
    """This request will never be answered, however often it is sent; `kind` is for counting, `detail` for people."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


class TryLater(Exception):
    """This request failed in a way that may pass: it is left unanswered, and asked again by the next run."""
