"""A replay bundle: one judged and explained comparison as one file that opens with no model.

A zip of manifest.json (format, model, sha256 of every other member), picture.png and record.json. What is read back is
checked against the hashes and against the comparison's own id; `core.explain.verify` computes it anew where the
model is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.images import ImageError
from core.records import (
    CardError,
    Comparison,
    DeletionCheck,
    Explanation,
    Faithfulness,
    ImageAblation,
    JudgeCard,
    Judgement,
    OODScore,
    RecordError,
    content_hash,
    frozen,
    plain,
)
from core.records.checked import FormError, checked_record
from core.taxonomy import KEYS

FORMAT = "rewardscope bundle"  # and its version
VERSION = 2
MEMBERS = {
    "manifest.json": 1 << 20,
    "picture.png": 64 << 20,
    "record.json": 32 << 20,
}  # and their largest sizes
# What zipfile and json raise for files that are damaged or made to hurt.
UNREADABLE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, RuntimeError,
    EOFError, LookupError, ArithmeticError,
)  # fmt: skip


class BundleError(ValueError):
    """A file that is not a bundle, or not whole; the message says what is wrong."""


@dataclass(frozen=True)
class Bundle:
    """card: of the judge. image_ablation: None where it was not measured. more: explanations of other targets of the pair."""

    comparison: Comparison
    judgement: Judgement
    explanation: Explanation
    image_ablation: ImageAblation | None
    card: JudgeCard
    more: tuple[Explanation, ...] = ()


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
        "image_ablation": asdict(bundle.image_ablation) if bundle.image_ablation else None,
        **({"more": [asdict(e) for e in bundle.more]} if bundle.more else {}),
    }  # fmt: skip
    members = {
        "picture.png": c.image,
        "record.json": json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    manifest = {"format": f"{FORMAT} {VERSION}", "judge": bundle.card.to_row(), "sha256": hashes}
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
    except UNREADABLE as error:
        raise BundleError("This file is not a Rewardscope bundle, or it is damaged.") from error
    version = _version(manifest)
    hashes = manifest.get("sha256")
    for name in ("picture.png", "record.json"):
        if not isinstance(hashes, dict) or hashlib.sha256(data[name]).hexdigest() != hashes.get(name):
            raise BundleError(f"The bundle's {name} is not what was written: its hash differs.")
    try:
        card = JudgeCard.from_row(
            manifest.get("judge") if version > 1 else _card_of_0_1(manifest.get("model"))
        )
        record = record if version > 1 else _record_of_0_1(record)
        bundle = _bundle(checked_record(record), data["picture.png"], card)
        bundle.comparison.load_image()
    except (CardError, FormError) as error:
        raise BundleError(f"The bundle cannot be read: {error}.") from error
    except (RecordError, ImageError) as error:
        raise BundleError(f"The bundle cannot be read: {error}") from error
    except ValueError as error:  # what a Judgement refuses
        raise BundleError(f"The bundle's judgement cannot be read: {error}.") from error
    c = bundle.comparison
    if c.benchmark == "user" and c.id != content_hash(data["picture.png"], c.prompt, *c.responses):
        raise BundleError("The bundle's texts and picture are not those it was made for: their id differs.")
    return bundle


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise BundleError(f"This zip holds no {name}: it is not a Rewardscope bundle.") from error
    if info.file_size > MEMBERS[name]:
        raise BundleError(f"The bundle's {name} is larger than {MEMBERS[name] >> 20} MiB.")
    with archive.open(info) as file:
        return file.read(MEMBERS[name] + 1)


def _version(manifest: object) -> int:
    """Raises BundleError."""
    said = manifest.get("format") if isinstance(manifest, dict) else None
    name, _, number = said.rpartition(" ") if isinstance(said, str) else ("", "", "")
    if name != FORMAT or not (number.isascii() and number.isdecimal()):
        raise BundleError("This zip is not a Rewardscope bundle: its manifest names no version of one.")
    if int(number) > VERSION:
        raise BundleError(
            f"This bundle has version {int(number)}; this Rewardscope reads up to {VERSION}. Open it with a newer Rewardscope."
        )
    return int(number)


def _card_of_0_1(model: object) -> dict[str, Any]:
    """Release 0.1 wrote bundles of the gated judge only, with its taxonomy. Raises CardError."""
    if not isinstance(model, dict):
        raise CardError("its manifest names no model")
    same = ("backbone", "parameters", "dtype", "device", "trained_on", "embedded", "name")
    return {
        **{k: model[k] for k in same if k in model},
        "id": "vl-mdr" if model.get("embedded") is True else model.get("name"),
        "kind": "gated",
        "fingerprint": model.get("weights", ""),
        "dimensions": list(KEYS),
    }


def _record_of_0_1(record: object) -> object:
    """Under the names of today. Whatever it is: what cannot be read is refused afterwards."""
    if not isinstance(record, dict):
        return record
    record = dict(record)
    if "reliance" in record:
        record["image_ablation"] = record.pop("reliance")
    explained = record.get("explanation")
    if isinstance(explained, dict):
        explained = {"convergence_delta" if k == "completeness_error" else k: v for k, v in explained.items()}
        if explained.get("method_key") == "account":
            explained |= {"method": "Exact head decomposition", "method_key": "decomposition"}
        record["explanation"] = explained
    return record


def _bundle(record: dict[str, Any], picture: bytes, card: JudgeCard) -> Bundle:
    """record: checked."""
    c = record.pop("comparison")  # its id is a hash of its texts: they stay as they came
    record = plain(record)
    ablated = record.get("image_ablation")
    judgement = Judgement.from_row(record["judgement"])
    judgement = replace(judgement, judge=card.id)  # release 0.1 wrote its name there
    if familiar := record.get("familiarity"):  # as release 0.1 kept it
        ood = OODScore(
            familiar["score"], familiar["threshold"], familiar["unfamiliar"], familiar.get("about", "")
        )
        judgement = replace(judgement, ood=ood)
    if judgement.selected and not judgement.dimensions:
        raise BundleError("The bundle cannot be read: its judgement does not name its dimensions.")
    comparison = Comparison(
        c["id"], picture, c["prompt"], tuple(c["responses"]), c["preferred"], c["benchmark"], c["category"]
    )
    explained = explanation_of(record["explanation"])
    more = tuple(explanation_of(row) for row in record.get("more", ()))
    return Bundle(comparison, judgement, explained, ImageAblation(**ablated) if ablated else None, card, more)


def explanation_of(row: dict[str, Any]) -> Explanation:
    """The Explanation of what `asdict` gave, lists made tuples again."""
    plain = {k: frozen(v) for k, v in row.items() if k != "faithfulness"}
    checked = row.get("faithfulness")
    found = Explanation(**plain)
    if not checked:
        return found
    parts = {
        k: DeletionCheck(**{n: frozen(v) for n, v in checked[k].items()}) if checked.get(k) else None
        for k in ("words", "regions", "critique")
    }
    return replace(found, faithfulness=Faithfulness(**parts))
