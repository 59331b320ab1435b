"""Credentials by reference: `scheme:place`, resolved in the broker's process and only there.

Guarantees: a reference is all that is stored, logged or shown; errors name the reference, never
the value; the platform's own secrets cannot be referred to; a file reference cannot leave the
folders it is allowed. Does not guarantee anything about the code of a tool once it has the
value: that code is trusted like the platform itself.

| reference | gives |
|---|---|
| `env:NAME` | an environment variable of the worker |
| `file:/run/secrets/name` | a file in an allowed folder, without its last line end |
| `vault:path#field` | whatever the provider registered for `vault` says; any scheme works |
"""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

MAX_SECRET_BYTES = 64_000
DEFAULT_FOLDERS = (Path("/run/secrets"), Path("/etc/countersign/secrets"))

_REFERENCE = re.compile(r"(?P<scheme>[a-z][a-z0-9]{1,20}):(?P<place>[^\s\x00]{1,500})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
# What the platform itself lives by: signing keys, database passwords.
_OWN = re.compile(r"(?:COUNTERSIGN|DJANGO|PG|POSTGRES|CELERY)|DATABASE_URL$", re.IGNORECASE)


class SecretError(Exception):
    """A reference cannot be resolved; the message never holds the value."""


class SecretProvider(Protocol):
    """Where the secrets of one scheme are kept."""

    def read(self, place: str) -> str:
        """The secret at a place: what follows the colon of the reference.

        Raises:
            SecretError: there is none, or it may not be read.
        """
        ...


@dataclass(frozen=True)
class EnvironmentSecrets:
    """Environment variables, but never the platform's own."""

    environment: Mapping[str, str] = field(repr=False)

    def read(self, place: str) -> str:
        if _NAME.fullmatch(place) is None:
            raise SecretError(f"env:{place} is not the name of an environment variable")
        if _OWN.match(place):
            raise SecretError(f"env:{place} belongs to the platform and cannot be referred to")
        value = self.environment.get(place, "")
        if not value:
            raise SecretError(f"env:{place} is not set: set it for web and worker, then restart")
        return value


@dataclass(frozen=True)
class FileSecrets:
    """Files below allowed folders; links may not lead out of them."""

    folders: tuple[Path, ...] = DEFAULT_FOLDERS

    def read(self, place: str) -> str:
        path = Path(place)
        if not path.is_absolute():
            raise SecretError(f"file:{place} must be an absolute path")
        try:
            real = path.resolve(strict=True)
            inside = any(real.is_relative_to(folder.resolve()) for folder in self.folders)
            if not inside:
                names = ", ".join(str(folder) for folder in self.folders)
                raise SecretError(f"file:{place} is outside the folders for secrets: {names}")
            if not real.is_file() or real.stat().st_size > MAX_SECRET_BYTES:
                raise SecretError(f"file:{place} is no file of at most {MAX_SECRET_BYTES} bytes")
            value = real.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError, RuntimeError) as fault:
            raise SecretError(f"file:{place} cannot be read: {type(fault).__name__}") from None
        if not value:
            raise SecretError(f"file:{place} is empty")
        return value


@dataclass(frozen=True)
class Secrets:
    """Resolves references with one provider per scheme."""

    providers: Mapping[str, SecretProvider] = field(repr=False)

    def resolve(self, reference: str) -> str:
        """The secret behind a reference.

        Raises:
            SecretError: no such scheme, or its provider cannot say.
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            # What stands here may be the secret itself, put in the wrong field.
            raise SecretError("a secret is given as scheme:place, such as env:NAME or file:/path")
        provider = self.providers.get(match["scheme"])
        if provider is None:
            known = ", ".join(sorted(self.providers))
            raise SecretError(f"there is no secret provider {match['scheme']!r}; known: {known}")
        return provider.read(match["place"])


def split_field(place: str) -> tuple[str, str]:
    """`path#field` of a Vault-style place as path and field; the field is `value` by default."""
    path, _, name = place.partition("#")
    return path, name or "value"


def local_secrets(folders: Collection[Path] = DEFAULT_FOLDERS) -> Secrets:
    """The providers that need no service: environment and files."""
    # A reference names a variable that only the operator knows; settings cannot list them.
    environment = os.environ  # noqa: TID251
    return Secrets({"env": EnvironmentSecrets(environment), "file": FileSecrets(tuple(folders))})


_current = local_secrets()


def configure(secrets: Secrets) -> None:
    """Sets what `resolve` uses in this process; called once, when it starts."""
    global _current  # noqa: PLW0603 - one setting per process, like logging
    _current = secrets


def resolve(reference: str) -> str:
    """The secret behind a reference, with this process's providers.

    Raises:
        SecretError: it cannot be resolved; never holds the value.
    """
    return _current.resolve(reference)
