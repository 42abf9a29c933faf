"""Real databases: a PostgreSQL of Debian's packages on a socket of its own, SQLite in a folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    assert found or on_path, "these tests need PostgreSQL: apt-get install postgresql"
    return (found[-1] if found else Path(on_path)).parent


@pytest.fixture(scope="session")
def postgres():
    """The address of an empty server, which dies with the session."""
    binaries, folder = _binaries(), Path(tempfile.mkdtemp(prefix="rewardscope-pg-"))
    # PostgreSQL refuses to run as root: the packages bring a user for it.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres", "postgres")

    def call(name, *arguments):
        command = [*user, str(binaries / name), *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", timeout=120)
        assert done.returncode == 0, done.stdout.decode()

    call("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "rewardscope", "-E", "UTF8")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
    call("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"postgresql+psycopg://rewardscope@/postgres?host={folder}"
    call("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """An empty label database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'labels.sqlite'}"
    import sqlalchemy as sa

    url = request.getfixturevalue("postgres")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"labels_{abs(hash(str(tmp_path))):x}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")
