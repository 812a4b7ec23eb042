"""The base of all errors that a user can fix. The lowest layer: it imports nothing."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the code is wrong: an option, a file, a server. The message names it and says what to do.

    The command line shows the message alone and exits with 1. A class that also has to be a ValueError or a RuntimeError
    derives from both.
    """


def install_extra(*extras: str) -> str:
    """The command that installs extras of this package, for a message. It is not on a package index: docs/install.md."""
    return f"pip install -e '.[{','.join(extras)}]' in the clone of awpo-ext (docs/install.md)"
