"""The gallery's first looks as a file of bundles, so that the page opens full without the model; and the command that records
them, or any judge's results on any pictures (app.inspect.recording).

`python -m app.gallery_results` writes the first; needed after any change of weights, gallery or explanations.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.common.model_options import add_model_options
from app.common.tasks import FirstLook, first_look
from app.inspect.gallery import gallery
from app.inspect.views import another_picture, comparison_of
from core.benchmarks import BenchmarkError
from core.explain import Plan
from core.judges.protocols import Explainable
from core.model.files import CheckpointError
from core.records import RecordError, frozen
from core.records.bundle import Bundle, BundleError, read, write
from core.records.gallery import MOST
from core.records.parts import Parts

FILE = Path(__file__).parents[2] / "assets" / "gallery.zip"
PLANS, PARTS = "plans.json", "parts.json"


def stored_for(judge: Explainable, file: Path = FILE) -> dict[str, FirstLook]:
    """Comparison id -> first look, of those that this very model gave; nothing where the file is missing or damaged."""
    out = {}
    try:
        with zipfile.ZipFile(file) as archive:
            plans, parts = (json.loads(archive.read(n)) for n in (PLANS, PARTS))
            for name in archive.namelist():
                if name not in (PLANS, PARTS):
                    bundle = read(archive.read(name))
                    if _same_model(bundle, judge):
                        linked = (
                            Parts(**{k: frozen(v) for k, v in parts[name].items()}) if name in parts else None
                        )
                        look = replace(_look(bundle, Plan(**plans[name]), judge), parts=linked)
                        out[look.judgement.comparison_id] = look
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, BundleError):
        return {}
    return out


def results(judge: Explainable) -> bytes:
    """The file's content: one bundle an example, and what explaining it further would cost."""
    out, plans, parts = io.BytesIO(), {}, {}
    with zipfile.ZipFile(out, "w") as archive:
        for example in gallery():
            c = comparison_of(example.path, example.comparison.prompt, list(example.comparison.responses))
            look = first_look(judge, c, another_picture(c))
            assert look.plan and look.explanation
            bundle = Bundle(c, look.judgement, look.explanation, look.image_ablation, judge.card)
            name = f"{example.id}.zip"
            plans[name] = asdict(look.plan)
            if look.parts:
                parts[name] = _short(asdict(look.parts))
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), write(bundle))
        for name, content in ((PLANS, plans), (PARTS, parts)):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), json.dumps(content, indent=1))
    return out.getvalue()


def _short(value: Any) -> Any:
    """Numbers as far as they are shown."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_short(v) for v in value]
    return round(value, 5) if isinstance(value, float) else value


def _same_model(bundle: Bundle, judge: Explainable) -> bool:
    ours, theirs = judge.card, bundle.card
    known = bool(ours.fingerprint) and ours.embedded
    return known and (ours.fingerprint, ours.dtype) == (theirs.fingerprint, theirs.dtype)


def _look(bundle: Bundle, plan: Plan, judge: Explainable) -> FirstLook:
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
    parser = argparse.ArgumentParser(
        prog="python -m app.gallery_results",
        description="Without --images: the first looks of the page's own gallery, computed and stored again. With --images: a judge's results and maps "
        "on any pictures, recorded into one file that `python app.py --recorded FILE` and a Space open with no GPU.",
    )
    add_model_options(parser)
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="pictures, with a table of questions and responses in it",
    )
    parser.add_argument(
        "--data", metavar="FILE", help="that table, where it lies elsewhere (docs/data.md says what is read)"
    )
    parser.add_argument("--format", metavar="NAME", help="how the table is read; recognised by its columns")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the recorded file, such as recorded.zip")
    parser.add_argument(
        "--title", help="what the recording is called on the page; by default the judge's name"
    )
    parser.add_argument(
        "--limit", type=int, default=MOST, metavar="N", help=f"the first so many rows, at most {MOST}"
    )
    args = parser.parse_args()
    if args.images is None and args.data is None:
        if args.model or args.output:
            parser.error("name the pictures to record by --images FOLDER.")
        from core.judges.vlmdr import VLMDRJudge

        data = results(VLMDRJudge.load(device="cpu"))
        FILE.write_bytes(data)
        print(f"{len(gallery())} first looks, {len(data):,} bytes, in {FILE.relative_to(FILE.parents[2])}")
        return
    if args.output is None:
        parser.error("name the file to record into by --output FILE.")
    if not 1 <= args.limit <= MOST:
        parser.error(f"--limit is {args.limit}: it must be from 1 to {MOST}.")
    from app.inspect.recording import record  # the app, which imports this file, records nothing

    try:
        record(args)
    except (BenchmarkError, CheckpointError, RecordError, OSError) as error:
        sys.exit(f"Nothing is recorded: {error}")


if __name__ == "__main__":
    main()
