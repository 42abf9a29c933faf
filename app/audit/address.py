"""What of the Audit page stands in its address: one function reads it, one writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from core.benchmarks.audit import Mark
from core.benchmarks.pasted import LARGEST, UNITS, audited

MARKS = ("all", *(m.value for m in Mark))
SORTS = ("published", "mark", "name", "overall", "off")
LONGEST = 1500  # characters of a pasted row that still goes into an address


@dataclass(frozen=True)
class Form:
    """What stands in the form. of: the benchmark of the pasted row."""

    paste: str = ""
    of: str = "vl-rewardbench"
    columns: str = ""
    unit: str = UNITS[0]


@dataclass(frozen=True)
class State:
    mark: str = MARKS[0]
    benchmark: str = "all"
    sort: str = SORTS[0]
    row: str = ""
    form: Form = Form()


def read(query: Mapping[str, str]) -> State:
    """Whatever is not known becomes the default."""

    def one_of(name: str, known: tuple[str, ...] | list[str]) -> str:
        return query[name] if query.get(name) in known else known[0]

    form = Form(
        query.get("paste", "")[:LARGEST], one_of("of", audited()), query.get("columns", "")[:LARGEST], one_of("unit", UNITS)
    )  # fmt: skip
    return State(
        one_of("mark", MARKS), one_of("benchmark", ["all", *audited()]), one_of("sort", SORTS), query.get("row", "")[:80], form
    )  # fmt: skip


def write(state: State) -> str:
    """The query of an address: only what is not the default. A paste that is too long stays out."""
    default = State()
    given = {
        name: getattr(state, name)
        for name in ("row", "mark", "benchmark", "sort")
        if getattr(state, name) != getattr(default, name)
    }
    if state.form.paste and len(state.form.paste) + len(state.form.columns) <= LONGEST:
        form = {"paste": state.form.paste, "of": state.form.of, "columns": state.form.columns, "unit": state.form.unit}  # fmt: skip
        given |= {k: v for k, v in form.items() if k == "paste" or v != getattr(default.form, k)}
    return urlencode(given)
