"""A name taken up again by its recovery phrase: tries are slowed by the counters that passwords have."""

from __future__ import annotations

from app.common.server import Guesses
from core.labels.records import LabelError, checked_name
from core.labels.recovery import read
from core.labels.store import LabelStore

WRONG = (
    "This is not the recovery phrase of that name here. Look for a slip of the pen, or choose another name."
)


class Recovery:
    """For all pages of a server. From many addresses at once a name may still be guessed only slowly."""

    def __init__(self, store: LabelStore, most: int = 10, most_by_name: int = 100) -> None:
        self.store = store
        self.by_address, self.by_name = Guesses(most), Guesses(most_by_name)

    def recover(self, name: str, phrase: object, address: str) -> str:
        """A secret for this browser. Raises LabelError. address: of whoever asks."""
        folded = checked_name(name).casefold()
        wait = max(self.by_address.wait(address), self.by_name.wait(folded))
        if wait:
            raise LabelError(f"Too many wrong phrases: wait {max(1, round(wait))} seconds and try again.")
        given = read(phrase)  # what cannot be one is no guess
        self.by_address.wrong(
            address
        )  # before the slow look: no number of tries at once gets past the counter
        self.by_name.wrong(folded)
        secret = self.store.recover(name, given)
        if secret is None:
            raise LabelError(WRONG)
        return secret
