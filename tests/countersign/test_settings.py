"""Settings that are wrong stop the start and say what to change; what is missing is safe."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

from countersign.environment import Environment
from countersign.home import Home
from countersign.logs import JsonFormatter
from countersign.queue import broker_options

ROOT = Path(__file__).resolve().parents[2]


def read(home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Import the settings in a fresh process and print them."""
    script = (
        "from django.conf import settings as s;"
        "import json; print(json.dumps({k: getattr(s, k) for k in dir(s) if k.isupper()},"
        " default=str))"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "countersign.settings",
            "COUNTERSIGN_HOME": str(home),
            **{f"COUNTERSIGN_{name}": value for name, value in variables.items()},
        },
        capture_output=True,
        text=True,
        check=False,
    )


def settings(home: Path, **variables: str) -> dict[str, object]:
    done = read(home, **variables)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    refused = read(
        tmp_path / "home",
        PORT="http",
        URL="http://agents.example.org",
        DATABASE_URL="postgresql://example.org",
        SECRET_KEY="short",
        LOG_LEVEL="LOUD",
        DATABSE_URL="x",
    )
    assert refused.returncode == 1
    for said in (
        "COUNTERSIGN_PORT must be a whole number from 1 to 65535, not 'http'",
        "COUNTERSIGN_URL must start with https:// unless it is this machine",
        "COUNTERSIGN_DATABASE_URL does not say user, dbname",
        "COUNTERSIGN_SECRET_KEY needs at least 32 characters",
        "COUNTERSIGN_LOG_LEVEL must be one of",
        "COUNTERSIGN_DATABSE_URL is not a setting; did you mean COUNTERSIGN_DATABASE_URL?",
    ):
        assert said in refused.stderr


def test_defaults_are_safe_on_one_machine(tmp_path: Path) -> None:
    found = settings(tmp_path / "home")
    assert found["DEBUG"] is False
    assert found["COUNTERSIGN_LISTEN"] == "127.0.0.1"
    assert found["COUNTERSIGN_EMBEDDED"] is True
    assert found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SESSION_COOKIE_NAME"] == "countersign_session"
    assert len(str(found["SECRET_KEY"])) == 43
    assert found["EMAIL_BACKEND"] == "django.core.mail.backends.filebased.EmailBackend"


def test_public_address_means_secure_cookies(tmp_path: Path) -> None:
    found = settings(tmp_path / "home", URL="https://agents.example.org")
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"):
        assert found[name] is True
    assert (found["SESSION_COOKIE_NAME"], found["CSRF_COOKIE_NAME"]) == (
        "__Host-countersign_session",
        "__Host-countersign_csrf",
    )
    assert found["LOGIN_COOKIE_NAME"] == "__Secure-countersign_login"
    # What the prefix demands; without it a browser takes none of them.
    for kind in ("SESSION", "CSRF"):
        assert (found[f"{kind}_COOKIE_PATH"], found[f"{kind}_COOKIE_DOMAIN"]) == ("/", None)
    assert found["ALLOWED_HOSTS"] == [
        "127.0.0.1",
        "::1",
        "[::1]",
        "agents.example.org",
        "localhost",
    ]


def test_secret_key_is_made_once(tmp_path: Path) -> None:
    first = settings(tmp_path / "home")["SECRET_KEY"]
    assert settings(tmp_path / "home")["SECRET_KEY"] == first
    assert settings(tmp_path / "other")["SECRET_KEY"] != first


def test_external_database_gives_each_role_its_own_login(tmp_path: Path) -> None:
    found = settings(
        tmp_path / "home",
        DATABASE_URL="postgresql://countersign_app:a@db.example.org:6432/prod?sslmode=verify-full",
        READER_URL="postgresql://countersign_reader:r@replica.example.org/prod",
    )
    databases = found["DATABASES"]
    assert isinstance(databases, dict)
    default, reader, eraser = (databases[k] for k in ("default", "reader", "eraser"))
    assert (default["HOST"], default["PORT"], default["NAME"]) == ("db.example.org", "6432", "prod")
    assert default["OPTIONS"]["sslmode"] == "verify-full"
    assert (reader["HOST"], reader["USER"], reader["PASSWORD"]) == (
        "replica.example.org",
        "countersign_reader",
        "r",
    )
    # Never the application's password for another role.
    assert (eraser["HOST"], eraser["USER"], eraser["PASSWORD"]) == (
        "db.example.org",
        "countersign_eraser",
        "",
    )


@pytest.mark.parametrize("password", ["plain", "it's", "back\\slash", "two words", "a'b\\ c", "ü"])
def test_queue_address_survives_how_pgmq_puts_it_together(password: str) -> None:
    from pgmq.base import PGMQConfig

    database = {
        "HOST": "/run/some dir",
        "PORT": "",
        "NAME": "d b",
        "USER": "u",
        "PASSWORD": password,
    }
    config = PGMQConfig(conn_string=str(broker_options(database)["conn_string"]))
    assert conninfo_to_dict(config.dsn) == {
        "host": "/run/some dir",
        "port": "5432",
        "dbname": "d b",
        "user": "u",
        "password": password,
    }


@pytest.mark.parametrize(
    ("value", "expected"), [("yes", True), ("ON", True), ("0", False), ("", True)]
)
def test_flag(value: str, expected: bool) -> None:
    env = Environment({"COUNTERSIGN_X": value})
    assert env.flag("X", default=True) is expected
    env.finish()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "٣", "99999999999999999999", "ten"])
def test_number_out_of_range_or_shape_is_refused(value: str) -> None:
    env = Environment({"COUNTERSIGN_X": value})
    assert env.number("X", 4, highest=10) == 4
    with pytest.raises(ImproperlyConfigured, match="COUNTERSIGN_X must be a whole number"):
        env.finish()


def test_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.secret("key")
    (tmp_path / "home" / "secrets" / "key").chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        home.secret("key")


def test_emptied_secret_is_not_made_anew(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.secret("key")
    (tmp_path / "home" / "secrets" / "key").write_text("")
    with pytest.raises(ValueError, match="restore it from a backup"):
        home.secret("key")


def test_many_starters_agree_on_one_secret(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(home.secret("key"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert os.listdir(tmp_path / "home" / "secrets") == ["key"]  # noqa: PTH208


def test_folder_of_someone_else_does_not_become_a_home(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(PermissionError, match="no home of Countersign's"):
        Home(tmp_path).secret("key")


def test_log_line_is_one_json_object_with_extras_and_traceback() -> None:
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        record = logging.getLogger("room").makeRecord(
            "room", logging.ERROR, "file", 1, "a %s", ("b\nc",), sys.exc_info(),
            extra={"run": "r1"},
        )  # fmt: skip
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"], line["run"]) == (
        "error",
        "room",
        "a b\nc",
        "r1",
    )
    assert "RuntimeError: first" in line["exception"]
    assert line["time"].endswith("Z")
