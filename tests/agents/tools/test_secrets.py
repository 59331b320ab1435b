from pathlib import Path

import pytest

from agents.tools.secrets import (
    EnvironmentSecrets,
    FileSecrets,
    SecretError,
    Secrets,
    resolve,
    split_field,
)


class Vault:
    """A Vault-style provider."""

    def read(self, place: str) -> str:
        path, field = split_field(place)
        return f"{path}/{field}"


@pytest.fixture(name="secrets")
def _secrets(tmp_path: Path) -> Secrets:
    (tmp_path / "mail").write_text("from file\n")
    environment = EnvironmentSecrets({"MAIL_PASSWORD": "from environment", "EMPTY": ""})
    return Secrets({"env": environment, "file": FileSecrets((tmp_path,)), "vault": Vault()})


def test_references_are_resolved_by_their_scheme(secrets: Secrets, tmp_path: Path) -> None:
    assert secrets.resolve("env:MAIL_PASSWORD") == "from environment"
    assert secrets.resolve(f"file:{tmp_path}/mail") == "from file"
    assert secrets.resolve("vault:kv/mail#password") == "kv/mail/password"
    assert secrets.resolve("vault:kv/mail") == "kv/mail/value"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:GONE", "not set"),
        ("env:EMPTY", "not set"),
        ("env:A B", "scheme:place"),
        ("env:1X", "not the name"),
        ("keyring:mail", "no secret provider"),
        ("file:mail", "absolute"),
        ("file:/nowhere/mail", "cannot be read"),
    ],
)
def test_what_cannot_be_resolved_is_said(secrets: Secrets, reference: str, message: str) -> None:
    with pytest.raises(SecretError, match=message):
        secrets.resolve(reference)


def test_the_process_has_the_providers_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "here")
    assert resolve("env:MAIL_PASSWORD") == "here"
