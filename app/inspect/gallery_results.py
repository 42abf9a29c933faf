"""The gallery's first looks as a file of bundles, so that the page opens full without the model.

`python -m app.inspect.gallery_results` writes it anew; needed after any change of weights, gallery or explanations.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

from app.common.tasks import FirstLook, first_look
from app.inspect.gallery import gallery
from app.inspect.views import another_picture, comparison_of
from core.explain import Plan
from core.judges.protocols import Differentiable
from core.records.bundle import Bundle, BundleError, read, write

FILE = Path(__file__).parents[2] / "assets" / "gallery.zip"
PLANS = "plans.json"


def stored_for(judge: Differentiable, file: Path = FILE) -> dict[str, FirstLook]:
    """Comparison id -> first look, of those that this very model gave; nothing where the file is missing or damaged."""
    out = {}
    try:
        with zipfile.ZipFile(file) as archive:
            plans = json.loads(archive.read(PLANS))
            for name in archive.namelist():
                if name != PLANS:
                    bundle = read(archive.read(name))
                    if _same_model(bundle, judge):
                        look = _look(bundle, Plan(**plans[name]), judge)
                        out[look.judgement.comparison_id] = look
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, BundleError):
        return {}
    return out


def results(judge: Differentiable) -> bytes:
    """The file's content: one bundle an example, and what explaining it further would cost."""
    out, plans = io.BytesIO(), {}
    with zipfile.ZipFile(out, "w") as archive:
        for example in gallery():
            c = comparison_of(example.path, example.comparison.prompt, list(example.comparison.responses))
            look = first_look(judge, c, another_picture(c))
            bundle = Bundle(c, look.judgement, look.explanation, look.image_ablation, judge.card)
            name = f"{example.id}.zip"
            assert look.plan
            plans[name] = asdict(look.plan)
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), write(bundle))
        archive.writestr(zipfile.ZipInfo(PLANS, (1980, 1, 1, 0, 0, 0)), json.dumps(plans, indent=1))
    return out.getvalue()


def _same_model(bundle: Bundle, judge: Differentiable) -> bool:
    ours, theirs = judge.card, bundle.card
    known = bool(ours.fingerprint) and ours.embedded
    return known and (ours.fingerprint, ours.dtype) == (theirs.fingerprint, theirs.dtype)


def _look(bundle: Bundle, plan: Plan, judge: Differentiable) -> FirstLook:
    """Under the id that this machine gives the same picture and texts: another build of zlib packs other bytes."""
    c = bundle.comparison
    assert bundle.image_ablation
    key = comparison_of(c.image, c.prompt, list(c.responses)).id  # type: ignore[arg-type]  # a bundle holds bytes
    return FirstLook(
        replace(bundle.judgement, comparison_id=key),
        replace(bundle.explanation, comparison_id=key),
        bundle.image_ablation,
        plan if bundle.card.device == judge.card.device else None,  # memory is the device's
    )


def main() -> None:
    argparse.ArgumentParser(prog="python -m app.inspect.gallery_results", description=__doc__).parse_args()
    from core.judges.vlmdr import VLMDRJudge

    data = results(VLMDRJudge.load(device="cpu"))
    FILE.write_bytes(data)
    print(f"{len(gallery())} first looks, {len(data):,} bytes, in {FILE.relative_to(FILE.parents[2])}")


if __name__ == "__main__":
    main()
