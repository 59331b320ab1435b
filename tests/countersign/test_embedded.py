"""Where the embedded database lives, whom it belongs to, and how it says that it cannot."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from countersign.embedded.account import NAME, database_account
from countersign.embedded.binaries import programs
from countersign.embedded.cluster import Cluster, ClusterError
from countersign.embedded.location import (
    LONGEST_SOCKET_PATH,
    PORT,
    SYSTEM_STATE,
    Location,
    at,
    locate,
)
from countersign.home import Home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about root's database")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="about an ordinary user's database")


def length(location: Location) -> int:
    return len(os.fsencode(location.socket / f".s.PGSQL.{PORT}"))


@pytest.mark.parametrize("depth", [0, 1, 5, 50])
def test_socket_path_is_short_enough_however_deep_the_home(depth: int) -> None:
    state = Path("/srv").joinpath(*["a-rather-long-folder-name"] * depth)
    location = at(state)
    assert length(location) <= LONGEST_SOCKET_PATH
    assert location.data == state / "data"


def test_two_deep_homes_have_two_sockets() -> None:
    deep = Path("/srv") / ("x" * 100)
    assert at(deep / "one").socket != at(deep / "two").socket


@as_root
def test_roots_database_is_where_another_user_may_enter(tmp_path: Path) -> None:
    assert locate(Home(tmp_path / "home")).state.parent == SYSTEM_STATE


@as_root
def test_copied_or_replaced_home_never_finds_anothers_database(tmp_path: Path) -> None:
    original = Home(tmp_path / "original")
    first = locate(original)
    assert locate(original) == first
    original.path.rename(tmp_path / "copy")
    assert locate(Home(tmp_path / "copy")) != first
    assert locate(Home(tmp_path / "original")) != first


@as_root
def test_roots_database_runs_as_a_user_without_login() -> None:
    account = database_account()
    (entry,) = [
        line for line in Path("/etc/passwd").read_text().splitlines() if line.startswith(NAME)
    ]
    assert account.uid == int(entry.split(":")[2]) != 0
    assert entry.endswith("/nologin")


@as_root
def test_programs_are_copied_where_nobody_else_may_change_them() -> None:
    found = programs()
    for path in [found / "postgres", found, *found.parents]:
        assert path.stat().st_uid == 0
        assert path.stat().st_mode & 0o022 == 0
        assert path.stat().st_mode & 0o001


@as_user
def test_users_database_is_in_their_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert locate(home).state == home.path / "database"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="countersign-cluster-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(at(folder / "state"), folder / "log", throw_away=True)
    yield cluster
    cluster.stop()


def test_start_without_a_cluster_says_what_to_do(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"manage\.py database_start"):
        cluster.start()


def test_server_that_does_not_start_says_why(cluster: Cluster) -> None:
    cluster.create("a password")
    broken = Cluster(cluster.location, cluster.log, throw_away=True, listen="not an address")
    with pytest.raises(ClusterError, match="invalid list syntax"):
        broken.start()


def test_created_twice_is_the_same_cluster_and_started_twice_the_same_server(
    cluster: Cluster,
) -> None:
    cluster.create("a password")
    cluster.create("another password")
    cluster.start()
    pid = cluster.running()
    cluster.start()
    assert cluster.running() == pid
    with pytest.raises(ClusterError, match="stop it first"):
        cluster.delete()
    rules = (cluster.location.data / "pg_hba.conf").read_text().splitlines()
    methods = {line.split()[-1] for line in rules if line and not line.startswith("#")}
    assert methods == {"scram-sha-256"}
    assert not (cluster.location.state / "password").exists()


def test_socket_folder_of_somebody_else_is_refused(cluster: Cluster, folder: Path) -> None:
    cluster.create("a password")
    (folder / "theirs").mkdir(mode=0o777)
    (folder / "theirs").chmod(0o777)
    trap = Location(cluster.location.state, folder / "theirs")
    with pytest.raises(ClusterError, match="belongs to someone else or is open to others"):
        Cluster(trap, cluster.log, throw_away=True).start()


def test_socket_folder_that_is_a_link_is_refused(cluster: Cluster, folder: Path) -> None:
    cluster.create("a password")
    (folder / "target").mkdir(mode=0o700)
    (folder / "link").symlink_to(folder / "target")
    trap = Location(cluster.location.state, folder / "link")
    with pytest.raises(ClusterError, match="belongs to someone else or is open to others"):
        Cluster(trap, cluster.log, throw_away=True).start()
