"""What a page shows as an address, and back. Inspect's is made of it; Failures (app.failures.place) and Audit
(app.audit.address) have their own, with a default for each part and a sentence of their own for what cannot be.

A page's address is a frozen dataclass whose fields are made by `part`: each says what it may hold and how it is called when
it does not. Anybody can write an address, so nothing of it is believed beyond its form: an unknown or malformed value is left
out, and a sentence says so; unknown names are none of ours and stay unmentioned. Pages wire it like this:

    address, problems = read(Place, dict(request.query_params))     # when the page is opened
    query = written(address)                                        # whenever its state changes; raises TooLong
    box.change(None, [box], None, js=SHOWN)                         # box: a hidden gr.Textbox with that query

assets/address.js puts the query into the browser's address: another subject is a step that Back undoes, anything else
replaces the address as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar
from urllib.parse import urlencode

from core.records import RecordError, plain

LONGEST = 3000  # characters of a query; browsers and chats cut longer ones
SHOWN = "(query) => { window.rewardscopeAddress.show(query); }"
Address = TypeVar("Address")


class TooLong(RecordError):
    """This does not fit into an address."""


def part(name: str, pattern: str, longest: int) -> Any:
    """A field of an address, None where it says nothing. name: for people. pattern: of the whole value."""
    said = {"name": name, "pattern": re.compile(pattern, re.DOTALL), "longest": longest}
    return field(default=None, metadata=said)


def read(kind: type[Address], query: Mapping[str, str]) -> tuple[Address, list[str]]:
    """The address that a query says, and a sentence for each part that is left out. Never raises."""
    found, problems = {}, []
    for f in fields(kind):  # type: ignore[arg-type]
        value = query.get(f.name)
        if value is None:
            continue
        if fits(f.metadata, value):
            found[f.name] = value
        else:
            problems.append(f"The {f.metadata['name']} of this address cannot be read and is left out.")
    return kind(**found), problems


def fits(said: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, str) and len(value) <= said["longest"] and bool(said["pattern"].fullmatch(value))


def written(address: Any) -> str:
    """The query string; "" where it says nothing. Raises TooLong, and ValueError for a part that could not be read back."""
    values = {}
    for f in fields(address):
        value = getattr(address, f.name)
        if value is None:
            continue
        value = plain(value)
        if len(value) > f.metadata["longest"]:
            raise TooLong(f"The {f.metadata['name']} is too long for an address.")
        if not fits(f.metadata, value):
            raise ValueError(f"not a {f.metadata['name']}: {value[:80]!r}")
        values[f.name] = value
    query = urlencode(values)
    if len(query) > LONGEST:
        raise TooLong(
            f"This is too long for an address ({len(query):,} characters, {LONGEST:,} fit): export it as a page instead."
        )
    return query
