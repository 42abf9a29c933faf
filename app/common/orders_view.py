"""What a judge that writes said in each of the two orders, side by side: verdicts, log-odds, votes, critiques."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from app.common import words
from app.common.html import NOTHING, html, signed
from core.records import Judgement, Vote, letter
from core.records.orders import side

LONGEST = 20_000  # characters of a critique on the page
OPEN = 1  # critiques of an order that are unfolded


def orders_html(judgement: Judgement, a: int, b: int) -> Markup:
    """Both orders of the pair; nothing of a judge that was not asked in them."""
    said = words.orders(judgement, a, b)
    if not said:
        return NOTHING
    columns = [_column(judgement, order, a, b) for order in ((a, b), (b, a))]
    return html(
        """
        <div class="orders"><p><span class="badge {{ kind }}">{{ said }}</span></p>
        <div class="sides">{% for c in columns %}
        <div class="side"><h3>{{ c.title }}</h3><p class="order-verdict">{{ c.verdict }}</p>
        {%- for fact in c.facts %}<p class="small">{{ fact }}</p>{% endfor %}
        {%- for t in c.texts %}
        <details class="critique"{{ " open" if t.open }}><summary>{{ t.title }}</summary><p dir="auto">{{ t.text }}</p></details>
        {%- endfor %}</div>{% endfor %}</div></div>
        """,
        said=said, kind="differs" if "depends" in said else "", columns=columns,
    )  # fmt: skip


def _column(judgement: Judgement, order: tuple[int, int], a: int, b: int) -> dict[str, Any]:
    votes = [(k, v) for k, v in enumerate(judgement.votes) if v.order == order]
    answers = [v for _, v in votes]
    x, y = letter(a), letter(b)
    preferred = side(answers)
    odds = [value for v in answers if (value := _for(v, a)) is not None]
    facts = []
    if odds:
        mean = signed(sum(odds) / len(odds))
        facts.append(
            f"log-odds of {x} over {y}: {mean}" + (f", mean of {len(odds)}" if len(odds) > 1 else "")
        )
    if any(v.text or v.problem for v in answers):
        facts.append("votes: " + _counted(answers, a, b))
    texts = [
        {"title": _title(k, v, a, b), "text": v.text[:LONGEST], "open": n < OPEN}
        for n, (k, v) in enumerate(votes)
        if v.text
    ]
    return {
        "title": f"{letter(order[0])} shown first",
        "verdict": "no verdict" if preferred is None else f"{letter(preferred)} is better",
        "facts": facts, "texts": texts,
    }  # fmt: skip


def _counted(votes: list[Vote], a: int, b: int) -> str:
    counts = {letter(i): sum(v.choice == i for v in votes) for i in (a, b)}
    for v in votes:
        if v.choice is None:
            why = v.problem or "no verdict"
            counts[why] = counts.get(why, 0) + 1
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _for(vote: Vote, a: int) -> float | None:
    """Log-odds for response a, whichever was shown first."""
    return vote.log_odds if vote.log_odds is None or vote.order[0] == a else -vote.log_odds


def _title(k: int, vote: Vote, a: int, b: int) -> str:
    """The number is that of the explanation's target."""
    said = f"for {letter(vote.choice)}" if vote.choice is not None else vote.problem or "no verdict"
    value = _for(vote, a)
    odds = f", log-odds of {letter(a)} over {letter(b)} {signed(value)}" if value is not None else ""
    return f"Critique {k + 1}: {said}{odds}"
