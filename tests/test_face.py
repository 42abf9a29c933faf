"""The files by which others find, cite, install and check the project."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_citation_has_what_its_format_asks_for():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert CITATION["authors"] and all(a.get("name") or a.get("family-names") for a in CITATION["authors"])


def test_version_and_licence_are_said_once():
    project = PROJECT["project"]
    assert Version(project["version"]) == Version(str(CITATION["version"]))
    assert project["license"] == CITATION["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    assert "license: apache-2.0" in (ROOT / "README.md").read_text()


def test_dependencies_are_the_pinned_requirements():
    assert PROJECT["project"]["dynamic"] == ["dependencies"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}
    lines = [line.split(" #")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len(found) > 15 and all(re.fullmatch(r"==[\w.]+", str(r.specifier)) for r in found)
    assert "typer" in {r.name for r in found}


def test_the_workflow_runs_the_tests_on_every_python_that_is_promised():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["tests"]
    pythons = job["strategy"]["matrix"]["python"]
    promised = SpecifierSet(PROJECT["project"]["requires-python"])
    assert pythons == [p for p in ("3.10", "3.11", "3.12", "3.13", "3.14") if f"{p}.0" in promised]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    assert (ROOT / ".ci" / "run").is_file()


def test_hooks_download_nothing_and_run_the_pinned_tools():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [r["repo"] for r in config["repos"]] == ["local"]
    hooks = [h for r in config["repos"] for h in r["hooks"]]
    assert all(h["language"] == "system" for h in hooks)
    tools = {h["entry"].split()[2] for h in hooks}
    pinned = (ROOT / "requirements-dev.txt").read_text()
    assert tools == {"ruff", "mypy"} and all(f"{tool}==" in pinned for tool in tools)


PAPERS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("name", PAPERS)
def test_paths_links_and_commands_that_are_named_exist(name):
    text = (ROOT / name).read_text()
    paths = set(re.findall(r"`((?:core|app|tests|assets)/[\w./]+)`", text))
    missing = {p for p in paths if not (ROOT / p).exists() and "NAME" not in p}
    links = set(re.findall(r"\]\(([\w./]+)\)", text))
    missing |= {x for x in links if not ((ROOT / name).parent / x).exists()}
    assert not missing
    modules = set(re.findall(r"python -m ((?:core|app)(?:\.\w+)*)", text))
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_each_how_to_is_at_most_twenty_lines():
    sections = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)[1:]
    how_to = {s.splitlines()[0]: len(s.strip().splitlines()) - 2 for s in sections if s.startswith("Add ")}
    assert len(how_to) == 4 and max(how_to.values()) <= 20, how_to
