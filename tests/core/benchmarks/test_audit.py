"""Published rows against arithmetic done by hand (counts from the notes on the papers, recomputed here)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.benchmarks.audit import Mark, audit
from core.benchmarks.published import Published, published
from core.benchmarks.readings import fewest_unscored, interval, passes_by_chance, sizes_of, whole_counts

SIZES = {"general": 183, "hallucination": 749, "reasoning": 318}


def row(
    columns: dict[str, str], overall: str | None, macro: str | None = "", benchmark: str = "vl-rewardbench"
) -> Published:
    """macro: by default what it must be; None for a table without one."""
    if macro == "":
        macro = f"{sum(map(float, columns.values())) / len(columns):.2f}" if columns else None
    return Published(benchmark, "x", columns, overall, macro, None, "here")


def by_name(name: str, benchmark: str = "vl-rewardbench") -> Published:
    return next(r for r in published() if r.name == name and r.benchmark == benchmark)


@pytest.mark.parametrize("n", [25, 34, 183, 318, 749])
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_whole_counts_are_those_that_print_so(n: int, decimals: int) -> None:
    for k in range(0, n + 1, max(1, n // 40)):
        printed = f"{100 * k / n:.{decimals}f}"
        assert k in whole_counts(printed, n)
        for other in whole_counts(printed, n):
            assert abs(100 * other / n - float(printed)) < 10.0**-decimals


@given(st.fixed_dictionaries({g: st.integers(0, n) for g, n in SIZES.items()}))
def test_a_row_of_real_counts_fits_the_official_groups(counts: dict[str, int]) -> None:
    columns = {g: f"{100 * k / SIZES[g]:.2f}" for g, k in counts.items()}
    found = audit(row(columns, f"{100 * sum(counts.values()) / 1250:.2f}"))
    assert found.comparable and found.verdict.startswith("Fits the official groups 183/749/318")
    assert found.mark is Mark.ADDS_UP


def test_r1_reward_fits_the_groups_of_its_script() -> None:
    found = audit(by_name("R1-Reward"))
    assert pytest.approx(0.7192) == (309 + 384 + 206) / 1250
    assert found.verdict == "Fits 484/448/318 only (309/484, 384/448, 206/318): not comparable."


def test_basereward_has_two_columns_swapped() -> None:
    found = audit(by_name("BaseReward (Qwen2.5-VL)"))
    assert pytest.approx(0.8216) == (218 + 413 + 396) / 1250
    assert "general read as reasoning" in found.verdict and "218/318, 413/448, 396/484" in found.verdict


def test_unifiedreward_think_fits_its_own_script() -> None:
    assert pytest.approx(0.7376) == (493 + 219 + 210) / 1250
    assert audit(by_name("UnifiedReward-Think")).verdict.startswith("Fits 631/301/318 only")


def test_released_file_of_ixc_fits() -> None:
    found = audit(by_name("IXC-2.5-Reward, released file"))
    assert pytest.approx(0.6456) == (155 + 452 + 200) / 1250
    assert found.comparable and not found.impossible


def test_official_rows_that_drop_unscored_answers_are_near() -> None:
    found = audit(by_name("GPT-4o"))
    assert found.comparable and found.verdict.startswith("Near the official groups")


def test_a_number_that_no_count_gives_is_named() -> None:
    found = audit(by_name("BaseReward (Qwen2.5-VL)", "mm-rlhf-rewardbench"))
    assert "mcq 95.74 is not possible with 42 questions" in found.impossible
    assert all(f"{100 * k / 42:.2f}" != "95.74" for k in range(43))
    assert (
        "Acc+ 26.01 is not possible with 46 questions"
        in audit(by_name("GPT-4o", "mm-rlhf-rewardbench")).impossible
    )


def test_multimodal_tables_average_differently() -> None:
    rows = [r for r in published() if r.benchmark == "multimodal-rewardbench"]
    readme = [r for r in rows if "README" in r.source]
    assert len(readme) == 8 and all(audit(r).comparable for r in readme)
    r1 = [r for r in rows if r.source.startswith("R1-Reward") and r.name != "R1-Reward"]
    for r in r1:
        mean = sum(map(float, r.columns.values())) / 7
        assert abs(mean - float(r.overall or 0)) < 0.1
        assert not audit(r).comparable


def test_nothing_fits_is_said() -> None:
    found = audit(row({"general": "10.00", "hallucination": "20.00", "reasoning": "30.00"}, "90.00"))
    assert not found.comparable and found.verdict.startswith("Fits no known grouping")
    assert found.mark is Mark.DOES_NOT
    assert "nothing to check" in audit(row({}, "73.06")).verdict
    assert audit(row({}, "73.06")).mark is Mark.UNCHECKED


def test_the_nearest_grouping_is_the_one_a_plain_search_finds() -> None:
    columns = {"general": "55.0", "hallucination": "70.0", "reasoning": "60.0"}
    groupings = {
        "183/749/318": (183, 749, 318),
        "484/448/318": (484, 448, 318),
        "631/301/318": (631, 301, 318),
    }
    for overall in ("66.0", "61.5", "59.0"):
        gaps = {}
        for name, sizes in groupings.items():
            ranges = [[k for k in range(n + 1) if abs(100 * k / n - float(v)) <= 0.05] or [n * float(v) / 100]
                      for n, v in zip(sizes, columns.values(), strict=True)]  # fmt: skip
            sums = [100 * sum(ks) / 1250 for ks in product(*ranges)]
            gaps[name] = min(abs(s - float(overall)) for s in sums)
        nearest = min(gaps, key=lambda g: gaps[g])
        if gaps[nearest] > 0.05:
            found = audit(row(columns, overall))
            assert nearest in found.verdict or ("official" in found.verdict and nearest == "183/749/318")


def test_every_published_row_has_a_source_and_a_verdict() -> None:
    rows = published()
    assert len(rows) >= 75
    for r in rows:
        assert r.source and audit(r).verdict


def test_every_row_can_be_linked_and_every_link_is_https() -> None:
    rows = published()
    assert len({r.key for r in rows}) == len(rows)
    assert all(r.link.startswith("https://") and '"' not in r.link for r in rows)


@given(st.fixed_dictionaries({g: st.integers(0, n) for g, n in SIZES.items()}), st.integers(1, 2))
def test_a_row_that_was_cut_off_instead_of_rounded_adds_up_too(counts: dict[str, int], digits: int) -> None:
    def cut(k: int, n: int) -> str:
        return f"{100 * 10**digits * k // n / 10**digits:.{digits}f}"

    columns = {g: cut(k, SIZES[g]) for g, k in counts.items()}
    assert audit(row(columns, cut(sum(counts.values()), 1250), None)).mark is Mark.ADDS_UP


@pytest.mark.parametrize("n", [25, 46, 318])
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_passing_by_chance_is_counted_over_all_printable_numbers(n: int, decimals: int) -> None:
    unit = 10**decimals
    passed = sum(bool(whole_counts(f"{v / unit:.{decimals}f}", n)) for v in range(100 * unit + 1))
    assert passes_by_chance(decimals, n) == pytest.approx(passed / (100 * unit + 1))


def test_a_macro_that_is_not_the_mean_is_named() -> None:
    found = audit(by_name("LLaVA-Critic-8B"))
    assert found.mark is Mark.DOES_NOT and "The macro average 44.0 is not the mean" in found.reason
    assert pytest.approx(50.667, abs=0.001) == (54.6 + 38.3 + 59.1) / 3
    others = [r for r in published() if r.macro and r.name != "LLaVA-Critic-8B"]
    for r in others:  # each prints a mean of its columns, to the last digit
        mean = sum(map(float, r.columns.values())) / len(r.columns)
        assert abs(mean - float(r.macro or 0)) < 0.11
        assert audit(r).macro is not None and audit(r).macro.gap == 0


def test_the_fewest_unscored_rows_are_those_a_full_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small groups, every choice of how many rows of each were scored."""
    sizes = {"general": 12, "hallucination": 20, "reasoning": 9}
    for place in ("audit", "readings"):
        monkeypatch.setattr(f"core.benchmarks.{place}.sizes_of", lambda benchmark: {"official": sizes})
    for columns, overall in (
        (("40.0", "10.0", "70.0"), "25.0"), (("40.0", "10.0", "70.0"), "45.0"), (("40.0", "10.0", "70.0"), "32.0"),
        (("40.0", "10.0", "70.0"), "80.0"), (("50.0", "50.0", "60.0"), "50.1"), (("50.0", "50.0", "60.0"), "59.0"),
    ):  # fmt: skip
        printed = row(dict(zip(sizes, columns, strict=True)), overall)
        fit = audit(printed).fits[0]
        low, high = interval(overall)
        fewest = None
        for kept in product(*(range(1, n + 1) for n in sizes.values())):
            least, most = (
                sum(k * interval(v)[i] for k, v in zip(kept, columns, strict=True)) / sum(kept)
                for i in (0, 1)
            )
            if least <= high and most >= low:
                dropped = sum(sizes.values()) - sum(kept)
                fewest = dropped if fewest is None else min(fewest, dropped)
        found = fewest_unscored(printed, fit)
        # A bound: fewer never do. With steps of whole rows the exact number may be jumped over.
        assert (found is None) == (fewest is None) or found is not None
        assert fewest is None or (found is not None and found <= fewest <= found + 1), (columns, overall)


def test_marks_say_what_they_are_said_to_say() -> None:
    """Against the definition, worked out from the printed numbers alone for the rows that add up."""
    for r in published():
        found = audit(r)
        if found.mark is not Mark.ADDS_UP:
            continue
        sizes = sizes_of(r.benchmark)["official"]
        counts = [[k for k in range(n + 1) if _prints(k, n, r.columns[g])] for g, n in sizes.items()]
        assert all(counts), r.name
        totals = {sum(ks) for ks in product(*counts)}
        assert any(_prints(k, sum(sizes.values()), r.overall or "") for k in totals), r.name
        if r.plus:
            assert any(_prints(k, 46, r.plus) for k in range(47))


def _prints(k: int, n: int, printed: str) -> bool:
    """Rounded half away from zero or cut off, in whole numbers."""
    unit = 10 ** len(printed.partition(".")[2])
    want = round(float(printed) * unit)
    return want in ((200 * unit * k + n) // (2 * n), 100 * unit * k // n)
