"""How much memory a model needs, known before any of it is loaded, and how much there is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from core.model.loading import CheckpointError, choose_device, choose_dtype

# Values of width H and of the MLP's width that a decoder layer keeps for the backward pass, per position: its input,
# norms, queries, keys, values, attention's output (counted for Qwen2-like layers, and measured by a test).
WIDE, INNER = 16, 5
INPUT = 2000  # tokens: a picture of about one megapixel for Qwen2.5-VL, and its texts


def bytes_per_point(text: Any, dtype: torch.dtype, computed: int, cached: int, backward: bool) -> int:
    """Bytes that one evaluation needs: `computed` positions run through the decoder, `cached` ones only kept as keys and
    values. Without a backward pass only two layers' worth is alive at once. text: the decoder's config."""
    wide = getattr(text, "hidden_size", 1)
    inner = getattr(text, "intermediate_size", 4 * wide)
    layers = text.num_hidden_layers
    size = torch.finfo(dtype).bits // 8
    kept = (WIDE * wide + INNER * inner) * size * computed * (layers if backward else 2)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    keys = 2 * layers * heads * (wide // text.num_attention_heads) * size * (computed + cached)
    return kept + keys


@dataclass(frozen=True)
class Need:
    """parameters: their number. weights, judging, map: bytes; judging and map are for an input of INPUT tokens and come on
    top, 0 where the config does not tell. there: bytes that are free, None where the system does not tell."""

    title: str
    parameters: int
    weights: int
    judging: int
    map: int
    there: int | None
    device: str
    dtype: str

    def sentence(self) -> str:
        there = f", where {_gib(self.there)} are free" if self.there is not None else ""
        more = (
            f" An input of {INPUT:,} tokens takes about {_gib(self.judging)} more to judge and {_gib(self.map)} for a gradient map."
            if self.judging else ""
        )  # fmt: skip
        return (
            f"{self.title}: {_billions(self.parameters)} parameters, {_gib(self.weights)} of weights in {self.dtype} on {self.device}{there}."
            + more
        )

    def check(self) -> None:
        """Raises CheckpointError where the weights alone do not fit."""
        if self.there is None or self.weights <= self.there:
            return
        half = " Half of it is enough with --dtype bfloat16." if self.dtype == "float32" else ""
        raise CheckpointError(
            f"'{self.title}' does not fit: its weights take {_gib(self.weights)} in {self.dtype}, and {_gib(self.there)} are free on "
            f"{self.device}.{half} Use another --device or a smaller checkpoint, or serve it elsewhere and give the address."
        )


def need_of(
    title: str, folder: Path, device: str | None, dtype: str | None, parameters: int | None = None
) -> Need | None:
    """folder: with config.json, and the weights unless `parameters` is given. None where there is nothing to count.

    Raises CheckpointError for a device or number type that is none.
    """
    place = choose_device(device)
    number = choose_dtype(place, dtype)
    parameters = parameters or count(folder)
    if not parameters:
        return None
    judging = kept = 0
    try:
        text = AutoConfig.from_pretrained(folder, trust_remote_code=False).get_text_config()
        judging, kept = (bytes_per_point(text, number, INPUT, 0, backward) for backward in (False, True))
    except Exception:  # the config will be complained of when it is loaded
        pass
    size = torch.finfo(number).bits // 8
    return Need(
        title,
        parameters,
        parameters * size,
        judging,
        kept,
        memory_there(place),
        str(place),
        str(number).removeprefix("torch."),
    )


def count(folder: Path) -> int:
    """Numbers in a folder's safetensors files, from their headers; 0 where one cannot be read."""
    sizes: dict[str, int] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as opened:
                sizes |= {name: math.prod(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return 0
    return sum(sizes.values())


def memory_there(place: torch.device) -> int | None:
    """Bytes that are free: on a GPU, or in this machine's memory within its container's limit (Linux)."""
    if place.type == "cuda":
        return int(torch.cuda.mem_get_info(place)[0])
    if place.type != "cpu":
        return None
    found = [n for n in (_available(), _container()) if n is not None]
    return min(found) if found else None


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _container(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container's limit (cgroup 2) leaves: pages that hold files are given back when they are needed."""
    try:
        limit, used = (
            (folder / "memory.max").read_text().strip(),
            int((folder / "memory.current").read_text()),
        )
        files = [
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text().splitlines()
            if line.startswith("file ")
        ]
        return None if limit == "max" else max(0, int(limit) - used + sum(files))
    except (OSError, ValueError):
        return None


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 100 << 20 else f"{size / 2**20:,.1f} MiB"


def _billions(n: int) -> str:
    return f"{n / 1e9:.2f} billion" if n >= 1e8 else f"{n / 1e6:.2f} million"
