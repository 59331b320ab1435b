"""Threat: a credential reaches the model, the log, or a tool it was not meant for."""

from pathlib import Path

import pytest

from agents.tools.breaker import Breakers
from agents.tools.errors import ToolError
from agents.tools.invoke import ToolContext, invoke
from agents.tools.secrets import EnvironmentSecrets, FileSecrets, SecretError, Secrets
from tests.agents.tools import samples


def context() -> ToolContext:
    return ToolContext("w", "r", 1, "k", resolve=lambda _: samples.SECRET)


def test_a_secret_in_an_exception_is_masked() -> None:
    with pytest.raises(ToolError) as raised:
        invoke(samples.fail, {"kind": "leak"}, context(), breakers=Breakers())
    assert samples.SECRET not in str(raised.value)
    assert "•••" in str(raised.value)


def test_a_secret_in_a_result_is_masked() -> None:
    assert invoke(samples.leak, {}, context()) == {"headers": ["Bearer •••"]}


@pytest.mark.parametrize(
    "name",
    [
        "COUNTERSIGN_SECRET_KEY",
        "countersign_home",
        "DJANGO_SETTINGS_MODULE",
        "PGPASSWORD",
        "POSTGRES_PASSWORD",
        "DATABASE_URL",
        "CELERY_BROKER",
    ],
)
def test_the_platforms_own_secrets_cannot_be_referred_to(name: str) -> None:
    with pytest.raises(SecretError, match="belongs to the platform"):
        EnvironmentSecrets({name: samples.SECRET}).read(name)


@pytest.mark.parametrize("way", ["{0}/../outside", "{0}/link", "{0}/folder/../../outside", "{0}"])
def test_a_file_reference_cannot_leave_its_folder(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "secrets"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "outside").write_text(samples.SECRET)
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(SecretError) as raised:
        FileSecrets((folder,)).read(way.format(folder))
    assert samples.SECRET not in str(raised.value)


def test_a_secret_put_where_its_reference_belongs_is_not_repeated() -> None:
    with pytest.raises(SecretError) as raised:
        Secrets({}).resolve(samples.SECRET)
    assert samples.SECRET not in str(raised.value)


def test_neither_context_nor_providers_show_secrets() -> None:
    told = context()
    told.secret("env:X")
    provider = EnvironmentSecrets({"X": samples.SECRET})
    for shown in (repr(told), repr(provider), repr(Secrets({"env": provider}))):
        assert samples.SECRET not in shown
