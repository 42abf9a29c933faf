"""Numbers on pages and in the terminal: what rounds to nothing has no sign, all else is Python's own format."""

import ast
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.html import html
from core.records import formatted, signed

ROOT = Path(__file__).parents[3]
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1e-2, 1e-2) | st.integers()


@given(NUMBERS, st.integers(0, 6))
def test_a_sign_stands_exactly_where_a_digit_does(value, digits):
    text = signed(value, digits)
    if re.search("[1-9]|inf", text):
        assert text[0] == ("+" if value > 0 else "-")
    else:
        assert text[0] not in "+-" or math.isnan(value)
    assert text.lstrip("+-") == format(value, f".{digits}f").lstrip("-")


@given(
    NUMBERS, st.sampled_from(["", "g", ".2f", ".0f", "+.1f", ",.2f", "+,.0f", ".1%", "+.0%", ".2e", ".3g"])
)
def test_any_format_is_pythons_less_the_sign_of_nothing(value, spec):
    text, plain = formatted(value, spec), format(value, spec)
    assert text in (plain, plain[1:]) and not re.fullmatch(r"[+-][0.,]*(e[+-]\d+)?%?", text)
    if re.search("[1-9]", plain.split("e")[0]):
        assert text == plain


@pytest.mark.parametrize("value", [-0.0, -0.004, 0.004, 0])
def test_templates_say_it_so_too(value):
    assert html('{{ v|f(".2f") }} {{ v|f("+.2f") }} {{ v|signed }}', v=value) == "0.00 0.00 0.00"


def test_no_page_writes_a_signed_number_by_itself():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FormattedValue) and node.format_spec and ast.unparse(node.format_spec).startswith("f'+")
    ]  # fmt: skip
    assert not found, f"use signed() or formatted() of core.records: {found}"
