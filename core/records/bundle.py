"""A replay bundle: one judged and explained comparison as one file that opens with no model.

A zip of manifest.json (format, model, sha256 of every other member), picture.png and record.json. What is read back is
checked against the hashes and against the comparison's own id; `core.explain.verify` computes it anew where the
model is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.records import (
    Comparison,
    Explanation,
    Faithfulness,
    Familiarity,
    Judgement,
    Reliance,
    Removal,
    content_hash,
    frozen,
)

FORMAT = "rewardscope bundle 1"
MEMBERS = {
    "manifest.json": 1 << 20,
    "picture.png": 64 << 20,
    "record.json": 32 << 20,
}  # and their largest sizes


class BundleError(ValueError):
    """A file that is no bundle, or not whole; the message says what is wrong."""


@dataclass(frozen=True)
class Bundle:
    """about: the model's card, its `weights` fingerprint among it. familiarity: None where it was not measured."""

    comparison: Comparison
    judgement: Judgement
    explanation: Explanation
    reliance: Reliance | None
    about: dict[str, Any]
    familiarity: Familiarity | None = None


def write(bundle: Bundle) -> bytes:
    """The comparison's image must be its PNG bytes."""
    c = bundle.comparison
    if not isinstance(c.image, bytes):
        raise BundleError("The picture must be given as PNG bytes.")
    record = {
        "comparison": {"id": c.id, "prompt": c.prompt, "responses": c.responses, "preferred": c.preferred,
                       "benchmark": c.benchmark, "category": c.category},
        "judgement": bundle.judgement.to_row(),
        "explanation": asdict(bundle.explanation),
        "reliance": asdict(bundle.reliance) if bundle.reliance else None,
        "familiarity": asdict(bundle.familiarity) if bundle.familiarity else None,
    }  # fmt: skip
    members = {
        "picture.png": c.image,
        "record.json": json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    manifest = {"format": FORMAT, "model": bundle.about, "sha256": hashes}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"manifest.json": json.dumps(manifest, indent=1).encode(), **members}.items():
            # A fixed date: the same result gives the same file.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def read(source: bytes | str | Path) -> Bundle:
    """Raises BundleError in plain words. Only the known members are read, none beyond its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            data = {name: _member(archive, name) for name in MEMBERS}
        manifest, record = (json.loads(data[n]) for n in ("manifest.json", "record.json"))
    except BundleError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise BundleError("This file is no Rewardscope bundle, or is damaged.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError("This file is no Rewardscope bundle of a version that is read here.")
    for name in ("picture.png", "record.json"):
        if hashlib.sha256(data[name]).hexdigest() != manifest.get("sha256", {}).get(name):
            raise BundleError(f"The bundle's {name} is not what was written: its hash differs.")
    try:
        bundle = _bundle(record, data["picture.png"], manifest["model"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError("The bundle's record lacks a part that is needed.") from error
    c = bundle.comparison
    if c.benchmark == "user" and c.id != content_hash(data["picture.png"], c.prompt, *c.responses):
        raise BundleError("The bundle's texts and picture are not those it was made for: their id differs.")
    return bundle


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise BundleError(f"This zip holds no {name}: it is no Rewardscope bundle.") from error
    if info.file_size > MEMBERS[name]:
        raise BundleError(f"The bundle's {name} is larger than {MEMBERS[name] >> 20} MiB.")
    with archive.open(info) as file:
        return file.read(MEMBERS[name] + 1)


def _bundle(record: dict[str, Any], picture: bytes, about: dict[str, Any]) -> Bundle:
    c, e = record["comparison"], record["explanation"]
    relies, familiar = record["reliance"], record.get("familiarity")  # bundles of 0.1 lack the second
    return Bundle(
        Comparison(
            c["id"],
            picture,
            c["prompt"],
            tuple(c["responses"]),
            c["preferred"],
            c["benchmark"],
            c["category"],
        ),
        Judgement.from_row(record["judgement"]),
        explanation_of(e),
        Reliance(**relies) if relies else None,
        dict(about),
        Familiarity(**familiar) if familiar else None,
    )


def explanation_of(row: dict[str, Any]) -> Explanation:
    """The Explanation of what `asdict` gave, lists made tuples again."""
    plain = {k: frozen(v) for k, v in row.items() if k != "faithfulness"}
    checked = row.get("faithfulness")
    found = Explanation(**plain)
    if not checked:
        return found
    parts = {
        k: Removal(**{n: frozen(v) for n, v in checked[k].items()}) if checked[k] else None
        for k in ("words", "regions")
    }
    return replace(found, faithfulness=Faithfulness(**parts))
