"""Where a reader of the Failures page is, as one small record, and as the query of a link."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

LONGEST = 500  # characters of a value


@dataclass(frozen=True)
class Place:
    """The filters' values as they stand in a link, the page of the wall, and the row on show. other, third: judges beside `run`'s."""

    run: str = ""
    other: str = ""
    third: str = ""
    versus: str = ""
    outcome: str = "mistakes"
    subgroup: str = ""
    dimension: str = ""
    longer: str = ""
    low: str = ""
    high: str = ""
    search: str = ""
    orders: str = ""
    said: str = ""
    wrong_reason: str = ""
    sort: str = "most confident mistakes"
    page: str = "0"
    row: str = ""

    @classmethod
    def of(cls, query: dict[str, str]) -> Place:
        return cls(**{k: str(v)[:LONGEST] for k, v in query.items() if k in cls.__dataclass_fields__})

    def query(self) -> str:
        """What differs from the page as it opens by itself."""
        return urlencode({f.name: v for f in fields(self) if (v := getattr(self, f.name)) and v != f.default})

    def at(self, row: int) -> str:
        """The query of another record in the same wall."""
        return replace(self, row=str(row)).query()
