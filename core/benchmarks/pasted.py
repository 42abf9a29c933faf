"""A row of a results table as people paste it: a line of CSV, TSV, Markdown or LaTeX, or JSON; percent or shares; decimal
points or commas. What is read is a Published with its decimals as written; how it was read is said, and what cannot be read is
one sentence.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.benchmarks import BENCHMARKS
from core.benchmarks.published import Published
from core.benchmarks.readings import sizes_of
from core.records import plain

LARGEST, MOST, LONGEST = 20_000, 50, 80  # characters of a paste, rows of it, characters of a name
UNITS = ("recognised", "percent", "share")
OVERALL, MACRO, PLUS, NAME = "overall", "macro", "Acc+", "name"
ALIASES = {
    OVERALL: ("overall", "acc", "accuracy", "overallacc", "overallaccuracy", "micro", "microaverage", "microavg", "total"),
    MACRO: ("macro", "macroavg", "macroaverage", "macroacc", "macroaccuracy"),
    PLUS: ("acc+", "accplus", "accuracy+", "plus"),
    NAME: ("model", "models", "name", "method", "methods", "judge", "rewardmodel"),
}  # fmt: skip
MEANS = ("avg", "average", "mean")
EMPTY = {"", "-", "–", "—", "--", "---", "n/a", "na", "nan", "null", "none", "/"}
NUMBER = re.compile(r"([0-9]{1,6}(?:[.,][0-9]{0,12})?|[.,][0-9]{1,12})\s*(%?)\s*((?:±|\+/?-|\().*)?")
RULE = re.compile(r"\\(?:top|mid|bottom|cmid|h|c)(?:rule|line)\S*|\\(?:begin|end)\{[^}]*\}(?:\{[^}]*\})?")


class PasteError(ValueError):
    """What was pasted cannot be read; the message is one sentence that says why and what to do."""


@dataclass(frozen=True)
class Pasted:
    """notes: how it was read, in sentences."""

    rows: tuple[Published, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Number:
    """As written, with a point; percent: whether a % stands behind it."""

    text: str
    percent: bool


def audited() -> list[str]:
    """The benchmarks whose group sizes are known."""
    return [name for name in BENCHMARKS if sizes_of(name)]


def columns_of(benchmark: str) -> list[str]:
    """All names that a column of this benchmark's tables may have, in the usual order."""
    groups = dict.fromkeys(g for sizes in sizes_of(benchmark).values() for g in sizes)
    return [*groups, OVERALL, *([MACRO] if benchmark == "vl-rewardbench" else []), *([PLUS] if _has_plus(benchmark) else [])]  # fmt: skip


def read(text: str, benchmark: str, columns: str = "", unit: str = "recognised") -> Pasted:
    """columns: names of the columns in their order, where the paste has none. unit: one of UNITS. Raises PasteError."""
    if benchmark not in audited():
        raise PasteError(f"Choose a benchmark whose group sizes are known: {', '.join(audited())}.")
    if unit not in UNITS:
        raise PasteError(f"Choose a unit: {', '.join(UNITS)}.")
    if len(text) > LARGEST or len(columns) > LARGEST:
        raise PasteError(f"That is more than {LARGEST:,} characters: paste only the rows to check.")
    text = plain(text).replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        raise PasteError("Paste a row first.")
    known = _known(benchmark)
    header, lines = _json(text) if text[0] in "[{" else _table(text, known)
    if named := [_clean(c) for c in re.split(r"[,;|&\t\n]", plain(columns)) if c.strip()]:
        header = named
    if not any(lines):
        raise PasteError("There is no number in what was pasted.")
    if len(lines) > MOST:
        raise PasteError(f"That is more than {MOST} rows: paste fewer.")
    notes: dict[str, None] = {}
    rows = [
        _row(header, cells, known, benchmark, unit, f"row {i}" if len(lines) > 1 else "your row", notes)
        for i, cells in enumerate(lines, 1)
    ]
    return Pasted(tuple(rows), tuple(notes))


# -- notations -----------------------------------------------------------------------------------------------


def _json(text: str) -> tuple[list[str], list[list[str]]]:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    def loaded(part: str) -> Any:
        return json.loads(part, parse_float=str, parse_int=str, parse_constant=refuse)

    try:
        try:
            data = loaded(text)
        except ValueError:  # one object a line
            data = [loaded(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise PasteError("That begins like JSON and cannot be read as JSON.") from error
    items = data if isinstance(data, list) and any(isinstance(d, dict | list) for d in data) else [data]
    header: dict[str, None] = {}
    flat: list[dict[str, str]] = []
    for item in items:
        if isinstance(item, list):
            if len(items) > 1 and not all(isinstance(i, list) for i in items):
                raise PasteError("Give one JSON object a row.")
            continue
        if not isinstance(item, dict):
            raise PasteError("Give one JSON object a row, with a name for each number.")
        inner = item.get("columns")
        merged = {**item, **inner} if isinstance(inner, dict) else item
        flat.append({_clean(k): _value(v) for k, v in merged.items() if not isinstance(v, dict | list)})
        header |= dict.fromkeys(flat[-1])
    if not flat:
        return [], [[_value(v) for v in item] for item in items if isinstance(item, list)]
    return list(header), [[row.get(name, "") for name in header] for row in flat]


def _value(value: Any) -> str:
    return "" if value is None or isinstance(value, bool | dict | list) else _clean(str(value))


def _table(text: str, known: Callable[[str], str | None]) -> tuple[list[str], list[list[str]]]:
    lines = [
        line for raw in re.split(r"\\\\(?:\[[^\]\n]*\])?|\n", RULE.sub("", text)) if (line := raw.strip())
    ]
    lines = [line for line in lines if not re.fullmatch(r"[|\s:+-]*-{2}[|\s:+-]*", line)]  # Markdown's rule
    if not lines:
        raise PasteError("There is no number in what was pasted.")
    split = _splitter(lines)
    cells = [[_clean(c) for c in split(line)] for line in lines]
    if not any(_is_number(c) for c in cells[0]):
        if len(cells) == 1:
            raise PasteError("There is no number in what was pasted.")
        if not any(known(c) not in (None, NAME) for c in cells[0]):
            raise PasteError(f"None of the columns in the first line is known: {', '.join(c[:30] for c in cells[0] if c)[:200]}.")  # fmt: skip
        return cells[0], cells[1:]
    return [], cells


def _splitter(lines: Sequence[str]) -> Callable[[str], list[str]]:
    """The sign that parts the most numbers, the first of these where several do, else spaces. A comma between digits is a decimal
    comma where another sign parts the cells."""
    ways: list[Callable[[str], list[str]]] = [
        lambda line: re.split(r"(?<!\\)&", line),
        lambda line: line.removeprefix("|").removesuffix("|").split("|"),
        lambda line: _csv(line, "\t"),
        lambda line: _csv(line, ";"),
        _by_commas(lines),
    ]

    def numbers(way: Callable[[str], list[str]]) -> int:
        return max(sum(_is_number(_clean(c)) for c in way(line)) for line in lines[:MOST])

    best = max(ways, key=numbers)
    return best if numbers(best) > 1 else _by_spaces


def _csv(line: str, sign: str) -> list[str]:
    return next(csv.reader([line], delimiter=sign, skipinitialspace=True), [])


def _by_commas(lines: Sequence[str]) -> Callable[[str], list[str]]:
    def spaced(line: str) -> list[str]:
        return re.split(r",\s+", line)

    rows = [row for row in map(spaced, lines) if len(row) > 1]
    if any(re.fullmatch(r"[0-9]+,[0-9]+\s*%?", c) for row in rows for c in row):
        return spaced
    return lambda line: _csv(line, ",")


def _by_spaces(line: str) -> list[str]:
    """Words in front of the first number are one name."""
    words = re.sub(r"(?<=[0-9])\s+%", "%", line).split()
    first = next((i for i, w in enumerate(words) if _is_number(w) or w in EMPTY), len(words))
    if first == len(words):
        return words
    return [*([" ".join(words[:first])] if first else []), *words[first:]]


def _clean(cell: str) -> str:
    """Without what Markdown and LaTeX put around a text."""
    cell = cell.strip()[:500].replace("\\%", "%").replace("\\_", "_").replace("\\&", "&").replace("\\pm", "±")
    cell = re.sub(r"[_^]\{[^{}]*\}", "", cell)
    for _ in range(4):  # nested that deep
        cell = re.sub(r"\\[a-zA-Z]+\*?(?:\{[^{}]*\})*\{([^{}]*)\}(?!\s*\{)", r"\1", cell)
    cell = re.sub(r"\\[a-zA-Z]+|[${}`↑↓†‡]|(?<![a-zA-Z0-9])[_*]+|[_*]+(?![a-zA-Z0-9])", "", cell)
    return " ".join(cell.replace("\\", "").replace("~", " ").split())


# -- one row -------------------------------------------------------------------------------------------------


def _row(
    header: Sequence[str], cells: Sequence[str], known: Callable[[str], str | None], benchmark: str, unit: str, name: str,
    notes: dict[str, None],
) -> Published:  # fmt: skip
    found = _by_name(header, cells, known, notes) if header else _by_order(cells, benchmark, notes)
    name = found.pop(NAME, "")[:LONGEST] or name
    numbers = {c: n for c, text in found.items() if (n := _number(text, c)) is not None}
    if not numbers:
        raise PasteError(f"There is no number in {name}.")
    percent = _in_percent(numbers, unit, notes)
    groups = _groups(percent, benchmark)
    notes |= {
        "Decimals are taken as written: 68.2 stands for every number that is rounded or cut off to it.": None
    }
    columns = {g: percent[g] for g in groups}
    return Published(
        benchmark, name, columns, percent.get(OVERALL), percent.get(MACRO), percent.get(PLUS), "pasted"
    )


def _by_name(
    header: Sequence[str], cells: Sequence[str], known: Callable[[str], str | None], notes: dict[str, None]
) -> dict[str, str]:
    if len(cells) == len(header) + 1 and not _is_number(cells[0]) and NAME not in map(known, header):
        header = ["name", *header]  # columns were named, the row's own name was not
    if len(cells) != len(header):
        raise PasteError(f"There are {len(header)} names of columns and {len(cells)} cells in the row: name each one.")  # fmt: skip
    out: dict[str, str] = {}
    said: dict[str, str] = {}
    for i, (title, cell) in enumerate(zip(header, cells, strict=True)):
        column = known(title) or (NAME if i == 0 and not title and not _is_number(cell) else None)
        if column is None:
            if title:
                notes[f"Not read: column {title[:40]}."] = None
            continue
        if column in out:
            raise PasteError(f"Two columns are read as {column}: '{said[column][:40]}' and '{title[:40]}'.")
        out[column], said[column] = cell, title
    if set(out) <= {NAME}:
        raise PasteError(f"None of the columns is known: {', '.join(t[:30] for t in header if t)[:200]}.")
    return out


def _by_order(cells: Sequence[str], benchmark: str, notes: dict[str, None]) -> dict[str, str]:
    """Without names: the groups in the order of the official table, then the overall and what may follow."""
    cells = list(cells)
    name = ""
    while cells and not _is_number(cells[0]) and (cells[0].lower() not in EMPTY or not name):
        name = name or cells[0]
        cells.pop(0)
    groupings = [list(sizes) for sizes in sizes_of(benchmark).values()]
    rest = [c for c in columns_of(benchmark) if c in (OVERALL, MACRO, PLUS)]
    orders = {tuple(g + rest[:n]) for g in groupings for n in range(len(rest) + 1)}
    fitting = [o for o in orders if len(o) == len(cells)]
    if len(fitting) != 1:
        raise PasteError(
            f"{len(cells)} number{'' if len(cells) == 1 else 's'} and no names of columns: name them in order, from "
            f"{', '.join(columns_of(benchmark))}."
        )
    notes[f"No names of columns: read in the order {', '.join(fitting[0])}."] = None
    return {NAME: name, **dict(zip(fitting[0], cells, strict=True))}


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def _number(cell: str, column: str) -> _Number | None:
    """None where nothing is given."""
    if cell.strip().lower() in EMPTY:
        return None
    found = NUMBER.fullmatch(cell.strip())
    if not found:
        raise PasteError(f"{column}: '{cell[:40]}' is not a number from 0 to 100.")
    text = found[1].replace(",", ".").removesuffix(".")
    text = f"0{text}" if text.startswith(".") else text
    if float(text) > 100:
        raise PasteError(f"{column}: {text[:20]} is more than 100 %.")
    if len(text.partition(".")[2]) > 6:
        raise PasteError(
            f"{column}: {text[:20]} has more than six decimals; give the number as it is printed."
        )
    return _Number(text, bool(found[2]))


def _in_percent(numbers: Mapping[str, _Number], unit: str, notes: dict[str, None]) -> dict[str, str]:
    values = {c: float(n.text) for c, n in numbers.items()}
    share = unit == "share"
    if unit == "recognised" and not any(n.percent for n in numbers.values()):
        small = [c for c, v in values.items() if 0 < v < 1]
        share = bool(small) and max(values.values()) <= 1
        if small and not share:
            big = max(values, key=lambda c: values[c])
            raise PasteError(f"{small[0]} {numbers[small[0]].text} looks like a share and {big} {numbers[big].text} like percent: choose the unit.")  # fmt: skip
    if not share:
        return {c: n.text for c, n in numbers.items()}
    notes["Shares, read as percent."] = None
    return {c: _of_share(n.text, c) for c, n in numbers.items()}


def _of_share(text: str, column: str) -> str:
    if float(text) > 1:
        raise PasteError(f"{column}: {text} is more than 1, so it is not a share.")
    if len(text.partition(".")[2]) < 2:
        if float(text) not in (0, 1):
            raise PasteError(f"{column}: {text} is a share with one decimal, too coarse to check; write {text}0 if that is what it is.")  # fmt: skip
        return f"{100 * float(text):.0f}"
    return f"{Decimal(text).scaleb(2):f}"


def _groups(percent: Mapping[str, str], benchmark: str) -> list[str]:
    """The groups of the grouping that is given whole. Raises PasteError where one is given in part."""
    groupings = [list(sizes) for sizes in sizes_of(benchmark).values()]
    given = [c for c in percent if c not in (OVERALL, MACRO, PLUS)]
    if not given:
        return []
    for groups in groupings:
        if set(groups) == set(given):
            return groups
    nearest = max(groupings, key=lambda g: (len(set(g) & set(given)), -len(g)))
    missing = [g for g in nearest if g not in given]
    if missing:
        raise PasteError(f"A check needs {', '.join(nearest)}; missing: {', '.join(missing)}.")
    raise PasteError(f"These columns belong to two tables: {', '.join(given)}; give those of one.")


# -- names of columns ----------------------------------------------------------------------------------------


def _has_plus(benchmark: str) -> bool:
    return BENCHMARKS[benchmark].clustered


def _known(benchmark: str) -> Callable[[str], str | None]:
    """From a column's title to what it is; None where it is not known. Raises PasteError for one that may be two."""
    groups = [c for c in columns_of(benchmark) if c not in (OVERALL, MACRO, PLUS)]
    beside = [OVERALL, NAME, *(c for c in (MACRO, PLUS) if c in columns_of(benchmark))]

    def known(title: str) -> str | None:
        name = re.sub(r"[^a-z0-9+]", "", title.casefold())
        if not name:
            return None
        if name in MEANS:
            if MACRO in beside:
                raise PasteError(f"'{title[:40]}' may be the overall or the macro average: name it overall or macro.")  # fmt: skip
            return OVERALL
        for column in beside:
            if name in ALIASES[column]:
                return column
        if benchmark == "multimodal-rewardbench" and name != "general":
            name = name.removeprefix("general")
        fitting = [g for g in groups if name == g or (len(name) >= 3 and (g.startswith(name) or (len(g) > 3 and name.startswith(g))))]  # fmt: skip
        return fitting[0] if len(fitting) == 1 else None

    return known
