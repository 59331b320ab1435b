"""``manage.py register``: the first registration of a workspace, and proposals after it."""

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from getpass import getpass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from agents import registry
from agents.errors import Refused
from agents.registry import Proposal
from audit.services import Actor
from countersign.accounts.models import User, Workspace
from countersign.accounts.services import reauthenticate
from countersign.accounts.services.workspace import COMMAND_LINE
from policies.errors import Refusal


class Command(BaseCommand):
    help = (
        "Register models, tools and agents from FILE. The first file of a workspace takes effect "
        "at once; every later one is proposed by a person (--as) and signed by another."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument(
            "--as",
            dest="username",
            default="",
            metavar="USER",
            help="who proposes the change; the password is asked for, or read from a pipe",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        text = _read(options["file"])
        documents = _beside(options["file"], text)
        try:
            if options["username"]:
                self._propose(workspace, text, documents, options["username"])
            else:
                self._register(workspace, text, documents)
        except Refused as error:
            raise CommandError(f"Nothing was registered.\n{error}") from error

    def _register(self, workspace: Workspace, text: str, documents: dict[str, str]) -> None:
        try:
            report = registry.register(
                workspace_id=workspace.id, text=text, documents=documents, actor=COMMAND_LINE
            )
        except Refused as error:
            if registry.is_set_up(workspace.id):
                hint = "Say who proposes it: manage.py register --as USER …"
                raise CommandError(f"{error}\n{hint}") from error
            raise
        self._say("made", report.made)
        self._say("unchanged", report.unchanged)

    def _propose(
        self, workspace: Workspace, text: str, documents: dict[str, str], username: str
    ) -> None:
        proposal = registry.propose(
            workspace_id=workspace.id,
            text=text,
            documents=documents,
            actor=_person(username),
            now=datetime.now(UTC),
        )
        if isinstance(proposal, Refusal):
            raise CommandError(f"Nothing was proposed. {proposal.sentence}")
        self._say("proposed", proposal.made)
        self._say("unchanged", proposal.unchanged)
        self._where(workspace, proposal)

    def _where(self, workspace: Workspace, proposal: Proposal) -> None:
        if proposal.request is None:
            return
        path = reverse("console:approval_card", args=[workspace.slug, proposal.request.id])
        self.stdout.write(
            "Nothing has changed yet. It takes effect when another person signs:\n"
            f"  {settings.COUNTERSIGN_URL}{path}"
        )

    def _say(self, verb: str, lines: list[str] | tuple[str, ...]) -> None:
        for line in lines:
            self.stdout.write(f"{verb:<10} {line}")


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error


def _beside(file: Path, text: str) -> dict[str, str]:
    """The OpenAPI documents that stand beside a file; registering names those that do not."""
    names = registry.documents_of(text)
    return {name: _read(file.parent / name) for name in names if (file.parent / name).is_file()}


def _person(username: str) -> Actor:
    """The person whose password was given; anyone at this terminal could type a name.

    Raises:
        CommandError: the password is wrong, or nobody has this name.
    """
    prompt = f"Password of {username}: "
    password = getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    user = User.objects.filter(username__iexact=username, is_active=True).first()
    if user is None:
        raise CommandError("User name or password is wrong. Nothing was proposed.")
    checked = reauthenticate(
        user_id=user.id, password=password, address="command-line", now=datetime.now(UTC)
    )
    if isinstance(checked, Refusal):
        raise CommandError(f"{checked.sentence} Nothing was proposed.")
    return Actor("user", str(user.id), user.name)
