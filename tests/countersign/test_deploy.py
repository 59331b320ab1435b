"""The image and the compose file say what the program says, and hold no secret of their own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from pytest_django import Settings

from countersign.embedded.processes import service
from countersign.settings import env

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: found for name, found in SERVICES.items() if "build" in found}


def instructions(word: str) -> list[str]:
    joined = CONTAINERFILE.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_the_compose_file_runs_what_up_runs() -> None:
    """The schedule's file is elsewhere: the root file system is read-only there."""

    def words(command: Any) -> list[str]:
        return [str(word) for word in command]

    for process in service():
        mine = words(SERVICES[process.name]["command"])
        theirs = ["python", *words(process.command)[1:]]
        if theirs[1:3] == ["-m", "django"]:
            theirs[1:3] = ["manage.py"]
        if "--schedule" in theirs:
            theirs[theirs.index("--schedule") + 1] = "/tmp/schedule"
        assert mine == theirs


def test_every_setting_named_is_one() -> None:
    named = set(re.findall(r"\bCOUNTERSIGN_\w+(?==)", CONTAINERFILE))
    for found in OURS.values():
        named |= {name for name in found["environment"] if name.startswith("COUNTERSIGN_")}
    assert len(named) > 8
    assert named <= env._known


def test_no_secret_has_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)([^}]*)\}", text)
    assert len(secrets) >= 6
    assert {how for _, how in secrets} == {":?run deploy/new-secrets first"}
    made = (DEPLOY / "new-secrets").read_text()
    assert [name for name, _ in secrets if name not in made] == []


def test_only_the_migration_may_change_the_schema() -> None:
    knowing = [name for name, s in OURS.items() if "COUNTERSIGN_OWNER_URL" in s["environment"]]
    assert knowing == ["migrate"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_have_no_privilege(name: str) -> None:
    found = OURS[name]
    assert found["cap_drop"] == ["ALL"]
    assert found["read_only"] is True
    assert "no-new-privileges:true" in found["security_opt"]
    assert "privileged" not in found
    loosened = [option for option in found["security_opt"] if "unconfined" in option]
    assert bool(loosened) == (name == "worker")


def test_the_web_is_published_on_this_machine_alone() -> None:
    assert [ports for s in SERVICES.values() if "ports" in s for ports in s["ports"]] == [
        "127.0.0.1:${COUNTERSIGN_PUBLISH:-8000}:8000"
    ]


def test_the_image_runs_as_a_user_and_asks_whether_it_is_ready() -> None:
    [user] = instructions("USER")
    assert re.fullmatch(r"USER [1-9]\d{3,}:[1-9]\d{3,}", user)
    [check] = instructions("HEALTHCHECK")
    assert "/readyz" in check
    assert CONTAINERFILE.index("USER ") < CONTAINERFILE.index("HEALTHCHECK ")


def test_every_system_package_says_who_needs_it() -> None:
    installs = [i for i in instructions("RUN") if "apt-get install" in i]
    assert len(installs) == 2
    # Each stage has its list right above its installation.
    stages = CONTAINERFILE.split("\nFROM ")[1:]
    for stage, install in zip(stages, installs, strict=True):
        [words] = re.findall(r"--no-install-recommends (.+?)(?:&&|$)", install)
        explained = re.findall(r"^# (\S+) +\S", stage.partition("RUN ")[0], re.MULTILINE)
        assert explained == [*dict.fromkeys(explained)]
        assert set(words.split()) == set(explained)


def test_bases_are_named_with_their_release() -> None:
    bases = re.findall(r"^ARG BASE=(\S+)", CONTAINERFILE, re.MULTILINE)
    assert bases == ["debian:12-slim"]
    assert SERVICES["postgres"]["image"] == "postgres:18"


def test_the_secrets_file_is_never_copied_into_the_image() -> None:
    copied = " ".join(i for i in instructions("COPY") if "--from" not in i).split()
    assert not {"deploy", ".", "./"} & {word for word in copied if word != copied[-1]} - {"./"}
    assert "/.env" in (DEPLOY / ".gitignore").read_text().split()


def test_supervisors_may_ask_without_tls(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/login").status_code == 301
