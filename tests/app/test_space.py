"""A folder for a Hugging Face Space: what is in it, that its papers agree, that it starts with nothing but itself."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from gradio_client import Client
from packaging.requirements import Requirement

from app.space import SpaceError, export
from tests.app.conftest import started

ROOT = Path(__file__).parents[2]
IMPORTED_AS = {"pillow": "PIL"}


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "space"
    export(folder)
    return folder


@pytest.fixture(scope="module")
def zero(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "zero"
    export(folder, zero_gpu=True)
    return folder


def front_matter(folder):
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def requirements(folder):
    lines = [line.split("#")[0].strip() for line in (folder / "requirements.txt").read_text().splitlines()]
    return {r.name: r for r in map(Requirement, filter(None, lines))}


def imports(folder):
    for path in [folder / "app.py", *(folder / "app").rglob("*.py"), *(folder / "core").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            yield from (name.split(".")[0] for name in names)


def test_the_front_matter_is_what_a_space_takes(space, zero):
    for folder in (space, zero):
        about = front_matter(folder)
        assert about["sdk"] == "gradio" and about["license"] == "apache-2.0" and about["hf_oauth"] is True
        assert about["sdk_version"] == importlib.metadata.version("gradio")
        assert len(about["short_description"]) <= 60 and about["tags"]
        assert (folder / about["app_file"]).is_file()
        assert re.fullmatch(r"3\.1[12](\.\d+)?", about["python_version"])
        assert not {"suggested_hardware", "models", "datasets"} & set(
            about
        )  # any hardware, nothing to download


def test_pins_are_those_installed(space):
    found = requirements(space)
    for name, requirement in found.items():
        installed = importlib.metadata.version(name).split("+")[0]
        assert str(requirement.specifier) == f"=={installed}", name
    assert found["gradio"].extras == {"mcp", "oauth"}
    assert str(found["gradio"].specifier) == f"=={front_matter(space)['sdk_version']}"


def test_zero_gpu_keeps_what_the_platform_brings(space, zero):
    all_of_them, left = requirements(space), requirements(zero)
    assert set(all_of_them) - set(left) == {"gradio", "huggingface_hub"}
    assert not left["torch"].specifier
    assert all(str(left[name]) == str(all_of_them[name]) for name in left if name != "torch")


def test_every_import_is_covered(space):
    covered = {IMPORTED_AS.get(name, name) for name in requirements(space)}
    covered |= set(sys.stdlib_module_names) | {"app", "core"}
    optional = {"spaces", "httpx", "openai", "peft", "trl", "math_verify"}  # tried, and done without
    assert set(imports(space)) - covered == optional


def test_only_what_is_needed_and_only_plain_files(space):
    names = {p.name for p in space.iterdir()}
    assert names == {
        "app.py", "app", "core", "assets", "README.md", "CHANGELOG.md", "LICENSE", "requirements.txt", ".gitattributes",
    }  # fmt: skip
    files = [p for p in space.rglob("*") if not p.is_dir()]
    assert not [p for p in files if p.is_symlink() or "__pycache__" in p.parts or p.suffix == ".pyc"]
    assert sum(p.stat().st_size for p in files) < 50_000_000
    assert max(p.stat().st_size for p in files) < 10_000_000
    lfs = {line.split()[0] for line in (space / ".gitattributes").read_text().splitlines()}
    assert lfs == {"*.safetensors", "*.png", "*.parquet", "*.zip", "*.webp"}
    for path in files:
        if f"*{path.suffix}" not in lfs:
            path.read_text(encoding="utf-8")  # the hub takes text only, outside of LFS


def test_it_is_written_anew_into_a_clone_and_nowhere_else(tmp_path):
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "README.md").write_text("what the hub made")
    (clone / ".gitattributes").write_text("what the hub made")
    export(clone)
    (clone / "app" / "gone.py").write_text("of an older version")
    export(clone)
    assert (clone / ".git").is_dir() and not (clone / "app" / "gone.py").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    for folder, says in ((tmp_path / "mine", "thesis.tex"), (ROOT, "holds other things")):
        with pytest.raises(SpaceError, match=says):
            export(folder)
    assert (ROOT / "app" / "space.py").is_file()


def test_the_command_says_what_it_did(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for folder, code in ((tmp_path / "new", 0), (tmp_path, 1)):
        done = subprocess.run(
            [sys.executable, "-m", "app.space", str(folder), "--zero-gpu"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert ("files" in done.stdout) if code == 0 else ("Nothing is written" in done.stderr)


def test_anybodys_copy_starts_without_secrets(space, tmp_path):
    """In a bare environment, as a Space that belongs to somebody else, with no token and no OAuth."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SYSTEM": "spaces", "SPACE_ID": "someone/else",
           "OMP_NUM_THREADS": "1"}  # fmt: skip
    with started(tmp_path, cwd=space, env=env) as (url, _):
        with urllib.request.urlopen(url + "config") as answer:
            config = json.load(answer)
        buttons = [c["props"] for c in config["components"] if c["props"].get("elem_id") == "duplicate"]
        assert [b["value"] for b in buttons] == ["Duplicate this Space"]
        assert "huggingface.co/spaces/someone/else?duplicate=true" in json.dumps(config["dependencies"])
        out = Client(url, verbose=False).predict("example:count", "How many?", ["2", "3"], api_name="/score")
        assert len(out["rewards"]) == 2


def test_no_copy_is_offered_at_home(server):
    with urllib.request.urlopen(server + "config") as answer:
        assert "duplicate" not in {c["props"].get("elem_id") for c in json.load(answer)["components"]}
