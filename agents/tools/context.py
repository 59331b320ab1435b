"""What a tool is told about the call it serves."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from agents.sandbox.files import MAX_FILE_BYTES, MAX_FILES, GivenFile, clean_name
from agents.tools import secrets
from agents.tools.errors import ToolFailed


@dataclass(frozen=True)
class ToolContext:
    """Given to a tool that has a parameter of this type; agents neither see nor fill it.

    Attributes:
        workspace: id of the workspace the run belongs to.
        run: id of the run.
        step: number of the step, from 1.
        idempotency_key: the same for every attempt at this one call, different for any other;
            hand it to the other side, so that a repeated call acts once.
        prefix: what the names of the call's files begin with, so that no two calls' are the same.
        kept: the files that the tool gave, in order.
        cancelled: whether the run was stopped since the call began, by a person, a kill switch or
            another worker. A tool that takes long asks now and then and ends early, saying what
            it did; the call's outcome is recorded all the same. Nothing ends it by force.
        resolve: how references become secrets; the process's providers by default.
    """

    workspace: str
    run: str
    step: int
    idempotency_key: str
    prefix: str = ""
    kept: list[GivenFile] = field(default_factory=list, repr=False, compare=False)
    cancelled: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)
    resolve: Callable[[str], str] = field(default=secrets.resolve, repr=False)
    _resolved: list[str] = field(default_factory=list, repr=False, compare=False)

    def secret(self, reference: str) -> str:
        """The credential behind a reference such as `env:MAIL_PASSWORD`.

        It is masked in whatever the tool returns or raises. Keep it in local variables.

        Raises:
            SecretError: it cannot be resolved.
        """
        value = self.resolve(reference)
        self._resolved.append(value)
        return value

    def keep(self, name: str, content: bytes) -> dict[str, str | int]:
        """Give the run a file; return what this gives, or put it into what you return.

        Programs find the file in `in/` from the next step on; people see it with the run.

        Raises:
            ToolFailed: it is too large, or there are too many.
        """
        used = sum(len(file.content) for file in self.kept)
        if len(self.kept) >= MAX_FILES or used + len(content) > MAX_FILE_BYTES:
            raise ToolFailed("FileTooLarge", f"{name!r:.80} is too large, or one file too many")
        name = clean_name(self.prefix + name)
        self.kept.append(GivenFile(name, content))
        digest = hashlib.sha256(content).hexdigest()
        return {"artifact": name, "sha256": digest, "bytes": len(content)}

    def mask(self, form: str) -> None:
        """Mask another form of a secret as well, such as the encoded one that is sent."""
        self._resolved.append(form)

    def masked(self, text: str) -> str:
        """The text without the secrets resolved through this context, in all their forms."""
        for value in self._resolved:
            if len(value) >= MIN_MASKED_CHARS:
                text = text.replace(value, "•••")
        return text

    @property
    def has_secrets(self) -> bool:
        return any(len(value) >= MIN_MASKED_CHARS for value in self._resolved)


MIN_MASKED_CHARS = 6
"""Shorter secrets would mask ordinary words; they are no secrets either."""
