"""`python -m core`, and the commands of release 0.1 that forward to it."""

import json
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from core.benchmarks.audit import audit
from core.benchmarks.published import published
from core.commands.app import app
from core.commands.judge import bars, lines
from core.judges.registry import JUDGES
from core.records import Comparison, Judgement
from core.world.splits import held_out

ROOT = Path(__file__).parents[2]
# Module, what stands for it today, and every option that its --help named in release 0.1.
OLD = [
    (
        "core.runner",
        ["run"],
        "--benchmark --source --images --data-revision --streaming --judge --model --model-revision --device --dtype --batch "
        "--limit --condition --swap-images --no-thumbnails --output",
    ),
    ("core.evaluate", ["evaluate"], "--model --records --seed --output"),
    ("core.fit_familiarity", ["fit-ood"], "--model --real"),
    ("core.suspects", ["label-errors"], "--run --most --output"),
    ("core.explain.benchmark", ["explain-benchmark"], "--model --records --part --output"),
    ("core.training", ["train", "scene"], "--output --export --head --start --first --seed"),
]
COMMANDS = [["judge"], ["audit"], ["train"], *(new for _, new, _ in OLD)]


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="python -m core")


@pytest.fixture(scope="module")
def record():
    return next(held_out(4, 0))


@pytest.fixture(scope="module")
def picture(record, tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "p.png"
    path.write_bytes(record.image)
    return path


@pytest.fixture
def rows(tmp_path, picture):
    path = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": "Q", "responses": ["a" * i, "b"], "preferred": 0, "image": str(picture.name)}
        for i in range(2, 6)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# -- help ----------------------------------------------------------------------------------------------------


def test_help_names_every_command_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom core.commands.app import app\n"
        f"for command in [[], *{COMMANDS}]:\n"
        "    done = CliRunner().invoke(app, [*command, '--help'])\n"
        "    assert done.exit_code == 0, done.output\n"
        "    print(done.output)\n"
        "print('HEAVY', sorted({'torch', 'transformers', 'pandas', 'pyarrow', 'datasets', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command[0]} +[A-Z].*\.$", done.stdout, re.MULTILINE), (
            command
        )  # a whole sentence


def test_the_command_itself_answers():
    done = subprocess.run([sys.executable, "-m", "core", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "Usage: python -m core" in done.stdout


def test_help_names_every_judge():
    text = " ".join(call("run", "--help").output.split())
    assert all(name in text for name in JUDGES)


# -- judge ---------------------------------------------------------------------------------------------------


def test_judge_prints_what_the_judge_says(record, picture, embedded_judge):
    expected = embedded_judge.judge(record)
    done = call("judge", picture, record.prompt, *record.responses, "--device", "cpu", "--json")
    found = json.loads(done.stdout)
    assert found["rewards"] == pytest.approx(expected.rewards, abs=1e-5)
    assert found["preferred"] == expected.ranking[0] and found["out_of_distribution"] is False
    assert sum(d["contribution"] for d in found["dimensions"]) == pytest.approx(found["margin"], abs=1e-5)
    assert sum(d["weight"] for d in found["dimensions"]) == pytest.approx(1, abs=1e-5)
    text = call("judge", picture, record.prompt, *record.responses, "--device", "cpu").stdout
    best, worst = ("A", "B") if expected.ranking[0] == 0 else ("B", "A")
    sure = 1 / (1 + math.exp(-found["margin"]))
    assert (
        f"prefers {best} to {worst} by {found['margin']:.2f} ({f'{sure:.0%}' if sure < 0.995 else 'over 99%'}): "
        in text
    )
    for d in found["dimensions"]:
        shown = re.sub(r"^[+-](0\.00)$", r"\1", f"{d['contribution']:+.2f}")
        assert re.search(rf"{d['name']} .*{re.escape(shown)}  +█*\|█*$", text, re.MULTILINE)
    assert "Warning" not in text


def test_judge_warns_of_a_picture_that_the_model_does_not_know():
    done = call("judge", ROOT / "assets" / "screenshot.png", "What is this?", "A page.", "A dog.")
    assert "Warning: this image is out of distribution" in done.stdout


def test_judge_takes_judges_without_dimensions_and_says_ties(picture):
    done = call("judge", "--judge", "longer", picture, "How many?", "2", "three", "four")
    assert "prefers B to C by 1.00 (73%)." in done.stdout and "Contributions" not in done.stdout
    done = call("judge", "--judge", "longer", picture, "How many?", "2", "3")
    assert "calls it a tie: it rates A and B alike." in done.stdout
    assert (
        json.loads(call("judge", "--json", "--judge", "longer", picture, "Q", "2", "3").stdout)["preferred"]
        is None
    )


def test_what_others_wrote_is_printed_but_does_not_steer_the_terminal():
    judgement = Judgement("c", "writer", (1.0, 0.5, 2.0), critique="C counts\nrightly.\x1b[2J")
    asked = Comparison("c", None, "Q", ("one\x1b]0;title\x07", "two\nlines", "x" * 200))
    shown = lines("A judge that writes", asked, judgement, 60)
    text = "\n".join(shown)
    assert "prefers C to A by 1.00 (73%)." in text and "C counts\nrightly.[2J" in text
    assert "\x1b" not in text and "\x07" not in text
    assert "two lines" in text and all(len(line) <= 60 for line in shown) and "xx…" in text


def test_bars_are_as_long_as_their_numbers():
    drawn = bars([2.0, -1.0, 0.0, 0.5], 30, "#")
    assert drawn == [" " * 10 + "|" + "#" * 20, "#" * 10 + "|", " " * 10 + "|", " " * 10 + "|" + "#" * 5]
    assert bars([0.0, -0.0], 30) == ["|", "|"] and bars([-3.0], 5) == ["█████|"]


# -- what cannot be done is said in a sentence ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("judge nope.png Q a b", "Cannot open nope.png: The picture file cannot be opened."),
        ("judge README.md Q a b", "Cannot open README.md: This file is not a picture"),
        ("judge PICTURE Q a", "Cannot judge: There is only one response"),
        ("judge PICTURE Q", "Missing argument 'A B [C ...]'."),
        ("judge PICTURE Q a b --device abacus", "Cannot judge: 'abacus' is not a device"),
        ("judge PICTURE Q a b --device cuda:99", "Cannot judge: The device 'cuda:99' cannot be used on this machine"),
        ("judge PICTURE Q a b --dtype int8", "Cannot judge: 'int8'"),
        ("judge PICTURE Q a b --model core", "Cannot judge: The folder 'core' has no config.json"),
        ("judge PICTURE Q a b --judge nobody", "not 'nobody'"),
        ("run --benchmark none --output x", "Invalid value for '--benchmark': use one of"),
        ("run --benchmark own --output x", "Cannot run: "),
        ("run --benchmark own --source nope.json --output x", "Cannot run: There is no file or folder 'nope.json'."),
        ("run --benchmark own --source nope.json --output README.md", "'README.md' is a file; name a folder."),
        ("evaluate --records 91", "Invalid value for '--records'"),
        ("evaluate --output nowhere/x.json", "nowhere'; make it first."),
        ("evaluate --output core", "'core' is a folder; name a file."),
        ("evaluate --model core", "Cannot evaluate: The folder 'core' has no config.json"),
        ("explain-benchmark --model core", "Cannot explain: The folder 'core' has no config.json"),
        ("label-errors --run core", "Cannot rank: "),
        ("fit-ood --real core nowhere", "Cannot fit: there is no folder 'nowhere'."),
        ("fit-ood --real core", "Cannot fit: those folders hold no images"),
        ("train scene --first nothing", "Invalid value for '--first': use one of ground, "),
        ("train scene --output README.md", "'README.md' is a file; name a folder."),
        ("audit --benchmark none", "Invalid value for '--benchmark': use one of"),
    ],
)  # fmt: skip
def test_bad_input_is_a_sentence_and_exit_code_two(arguments, sentence, picture, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = call(*(picture if word == "PICTURE" else word for word in arguments.split()))
    assert done.exit_code == 2 and sentence in done.stderr and "Traceback" not in done.output
    assert isinstance(done.exception, SystemExit)
    assert not (ROOT / "x").exists()


# -- the commands of release 0.1 -----------------------------------------------------------------------------


def through_the_door(module, monkeypatch, capsys, *arguments):
    """`python -m MODULE ARGUMENTS` in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
    monkeypatch.delitem(sys.modules, module, raising=False)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    out = capsys.readouterr()
    return ended.value.code, out.out, out.err


@pytest.mark.parametrize(("module", "new", "options"), OLD, ids=[m for m, _, _ in OLD])
def test_an_old_command_is_the_new_one(module, new, options, monkeypatch, capsys):
    code, out, _ = through_the_door(module, monkeypatch, capsys, "--help")
    # Lines break elsewhere in a test, at hyphens too.
    assert (code, "".join(out.split())) == (0, "".join(call(*new, "--help").output.split()))
    assert set(options.split()) <= set(re.findall(r"--[a-z-]+", out))
    code, _, err = through_the_door(module, monkeypatch, capsys, "--nonsense")
    assert (code, err) == (2, call(*new, "--nonsense").stderr) and "No such option: --nonsense" in err


def test_a_run_is_the_same_by_its_old_name(rows, tmp_path, monkeypatch, capsys):
    given = [
        "--benchmark",
        "own",
        "--source",
        rows,
        "--images",
        ROOT,
        "--judge",
        "longer",
        "--batch",
        2,
        "--no-thumbnails",
    ]
    done = call("run", *given, "--output", tmp_path / "new", "--limit", 3)
    assert done.exit_code == 0 and "3 of" in done.stderr, done.output
    old = through_the_door(
        "core.runner", monkeypatch, capsys, *given, "--output", tmp_path / "old", "--limit", 3
    )
    assert old[0] == 0 and old[1] == done.stdout.replace("new", "old")
    tables = [pq.read_table(tmp_path / name / "judgements.parquet") for name in ("new", "old")]
    assert tables[0].num_rows == 3 and tables[0].equals(tables[1])
    done = call("run", *given, "--output", tmp_path / "new", "--limit", 4)
    assert done.exit_code == 2 and "Cannot run: new holds another run: its limit" in done.stderr


def test_a_run_that_is_stopped_says_how_it_goes_on(rows, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.runs.runner.run", stopped)
    done = call(
        "run", "--benchmark", "own", "--source", rows, "--judge", "longer", "--output", tmp_path / "r"
    )
    assert done.exit_code == 130 and "Stopped. The same command continues." in done.stderr


def test_evaluate_writes_what_it_prints(tmp_path):
    done = call("evaluate", "--records", 92, "--seed", 3, "--output", tmp_path / "e.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "e.json").read_text())
    assert json.loads(done.stdout)["accuracy"]["accuracy"] > 0.9


def test_the_benchmark_of_explanations_prints_its_table(tmp_path, monkeypatch):
    stored = json.loads((ROOT / "assets" / "explanations.json").read_text())
    monkeypatch.setattr("core.evaluation.explanations.run", lambda judge, *asked: stored | {"asked": asked})
    done = call("explain-benchmark", "--records", 40, "--part", 7, "--output", tmp_path / "e.json")
    written = json.loads((tmp_path / "e.json").read_text())
    assert written["asked"] == [40, 7, 0] and written["table"] == stored["table"]
    assert [float(line[56:64]) for line in done.stdout.splitlines()] == pytest.approx(
        [row["value"] for row in stored["table"]], abs=5e-4
    )


def test_audit_prints_the_verdict_on_every_published_row():
    done = call("audit")
    assert all(row.name in done.stdout and audit(row).verdict in done.stdout for row in published())
    some = [
        json.loads(line)
        for line in call("audit", "--benchmark", "vl-rewardbench", "--json").stdout.splitlines()
    ]
    wanted = [r for r in published() if r.benchmark == "vl-rewardbench"]
    assert [(s["name"], s["verdict"]) for s in some] == [(r.name, audit(r).verdict) for r in wanted]


def test_audit_reads_a_row_of_ones_own_from_a_file_and_from_standard_input(tmp_path):
    row = r"R1-Reward & 63.84 & 85.71 & 64.78 & \textbf{71.92} & 71.44 \\"
    (tmp_path / "row.tex").write_text(row)
    wanted = next(r for r in published() if r.name == "R1-Reward" and r.benchmark == "vl-rewardbench")
    for done in (
        call("audit", str(tmp_path / "row.tex"), "--json"),
        CliRunner().invoke(app, ["audit", "-", "--json"], input=row, prog_name="python -m core"),
    ):
        assert done.exit_code == 0
        said = json.loads(done.stdout)
        assert (said["name"], said["verdict"], said["mark"]) == ("R1-Reward", audit(wanted).verdict, "partly")
        assert "read in the order general" in done.stderr
    for arguments, sentence in (
        (["nowhere.csv"], "'nowhere.csv' cannot be read: No such file or directory."),
        (["-"], "Paste a row first."),
        (["-", "--unit", "miles"], "use one of recognised, percent, share"),
    ):
        done = CliRunner().invoke(app, ["audit", *arguments], input="", prog_name="python -m core")
        assert done.exit_code == 2 and sentence in " ".join(done.stderr.replace("│", " ").split())
