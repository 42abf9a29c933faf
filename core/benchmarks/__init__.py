"""Benchmarks as streams of rows. One file each: what its columns mean, which rows form which group.

rows.py                   what a loader gives: a Row with a Comparison, or with the reason why there is none
source.py                 hub, Parquet, JSON, JSONL, CSV or a `datasets` folder -> plain dicts
images.py                 the image of a row, which never leaves its folder
vl_rewardbench.py, multimodal_rewardbench.py, mm_rlhf.py, multi_crit.py, scene.py, own_file.py
findings.py               duplicates and contradictions
"""

from __future__ import annotations

from core.benchmarks.mm_rlhf import MM_RLHF
from core.benchmarks.multi_crit import MULTI_CRIT
from core.benchmarks.multimodal_rewardbench import MULTIMODAL_REWARDBENCH
from core.benchmarks.own_file import OWN_FILE
from core.benchmarks.rows import Benchmark, BenchmarkError, Grouping, Row
from core.benchmarks.scene import SCENE
from core.benchmarks.vl_rewardbench import VL_REWARDBENCH

BENCHMARKS: dict[str, Benchmark] = {
    b.name: b for b in (VL_REWARDBENCH, MULTIMODAL_REWARDBENCH, MM_RLHF, MULTI_CRIT, SCENE, OWN_FILE)
}

__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkError", "Grouping", "Row"]
