"""Coefficients of agreement and shares, each with a 95 % interval, or with the reason why there is none.

Values come from statsmodels and krippendorff. The resamples behind an interval are computed here, all at once: the
libraries take one table at a time, which makes a page wait for seconds. Tests hold the two to each other. They are imported
where a coefficient is asked for: they are slow to load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.runs.metrics import LEVEL

RESAMPLES = 1000
SEED = 0
NOTHING = "no item has two opinions"
ONE_CATEGORY = "all opinions are of one category, so chance alone would agree as well: it is undefined"


@dataclass(frozen=True)
class Share:
    """k of n, with Wilson's interval (Wilson 1927). value, low and high are None where n is 0."""

    value: float | None
    k: int
    n: int
    low: float | None
    high: float | None


def share(k: int, n: int) -> Share:
    if n == 0:
        return Share(None, 0, 0, None, None)
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(k, n, alpha=1 - LEVEL, method="wilson")
    return Share(k / n, k, n, float(low), float(high))


@dataclass(frozen=True)
class Coefficient:
    """1 is full agreement, 0 what chance gives. Where value, low or high is None, `reason` says why.

    low, high: percentile bootstrap over items (Efron and Tibshirani 1993, chapter 13), 1,000 resamples, seeded.
    Resamples that hold one category only have no value: they are left out and counted in `undefined`; if fewer than
    half have a value, there is no interval. Where all agree, the interval is 1 to 1 however few the items are.
    raters: opinions per item for Fleiss' kappa, people (or a judge) for the others.
    """

    value: float | None
    low: float | None
    high: float | None
    items: int
    raters: int
    undefined: int = 0
    reason: str = ""


def cohen(cells: np.ndarray) -> Coefficient:
    """Cohen's kappa (Cohen 1960). cells: (items, K, K), how often the first rater said the row's category and the
    second the column's; more than one per item where several people stand for the first rater."""
    from statsmodels.stats.inter_rater import cohens_kappa

    return _coefficient(
        cells, lambda c: cohens_kappa(c.sum(0), return_results=False), cohen_of_resamples, raters=2
    )


def fleiss(counts: np.ndarray) -> Coefficient:
    """Fleiss' kappa (Fleiss 1971). counts: (items, K) opinions per category, equally many (>= 2) on every item."""
    from statsmodels.stats.inter_rater import fleiss_kappa

    return _coefficient(counts, fleiss_kappa, fleiss_of_resamples, int(counts[:1].sum()))


def alpha(counts: np.ndarray, raters: int) -> Coefficient:
    """Krippendorff's alpha for nominal data (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", C).

    counts: (items, K) opinions per category; items with fewer than two say nothing and are left out. raters: people.
    """

    import krippendorff

    def library(table: np.ndarray) -> float:
        return krippendorff.alpha(value_counts=table, level_of_measurement="nominal")

    return _coefficient(counts[counts.sum(1) >= 2], library, alpha_of_resamples, raters)


def _coefficient(
    table: np.ndarray,
    library: Callable[[np.ndarray], float],
    resampled: Callable[[np.ndarray, np.ndarray], np.ndarray],
    raters: int,
) -> Coefficient:
    n = len(table)
    if n == 0:
        return Coefficient(None, None, None, 0, raters, reason=NOTHING)
    # Items that look alike are one pattern: resampling n items is one multinomial draw over the patterns.
    flat, times = np.unique(table.reshape(n, -1), axis=0, return_counts=True)
    patterns = flat.reshape(-1, *table.shape[1:]).astype(float)
    if np.isnan(resampled(times[None].astype(float), patterns)[0]):
        return Coefficient(None, None, None, n, raters, reason=ONE_CATEGORY)
    value = float(library(table))
    if n == 1:
        return Coefficient(value, None, None, n, raters, reason="one item gives no interval")
    draws = np.random.default_rng(SEED).multinomial(n, times / n, RESAMPLES).astype(float)
    values = resampled(draws, patterns)
    values = values[~np.isnan(values)]
    undefined = RESAMPLES - len(values)
    if undefined > RESAMPLES / 2:
        reason = f"{undefined:,} of {RESAMPLES:,} resamples hold one category only: there is no interval"
        return Coefficient(value, None, None, n, raters, undefined, reason)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Coefficient(value, float(low), float(high), n, raters, undefined)


# The coefficients of many resamples at once. weights: (R, P) how often each of P patterns was drawn; result: (R,),
# NaN where a resample holds one category only.


def cohen_of_resamples(weights: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """cells: (P, K, K). kappa = (p_o - p_e) / (1 - p_e), p_e the product of both raters' marginal shares."""
    tables = np.tensordot(weights, cells, 1)
    tables /= tables.sum((1, 2), keepdims=True)
    observed = np.trace(tables, axis1=1, axis2=2)
    expected = (tables.sum(1) * tables.sum(2)).sum(1)
    return _beyond_chance(observed, expected)


def fleiss_of_resamples(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """counts: (P, K), r opinions each. Agreement of an item: pairs that agree among its r (r - 1) ordered pairs."""
    r = counts[0].sum()
    agree = ((counts**2).sum(1) - r) / (r * (r - 1))
    n = weights.sum(1)
    shares = weights @ counts / (n * r)[:, None]
    return _beyond_chance(weights @ agree / n, (shares**2).sum(1))


def alpha_of_resamples(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """counts: (P, K). alpha = 1 - D_o / D_e over the n pairable opinions of a resample."""
    opinions = counts.sum(1)
    unlike = (opinions**2 - (counts**2).sum(1)) / (opinions - 1)
    n = weights @ opinions
    same = ((weights @ counts) ** 2).sum(1)
    return _beyond_chance(1 - weights @ unlike / n, 1 - (n**2 - same) / (n * (n - 1)))


def _beyond_chance(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    room = 1 - expected
    able = room > 1e-12
    return np.where(able, (observed - expected) / np.where(able, room, 1), np.nan)
