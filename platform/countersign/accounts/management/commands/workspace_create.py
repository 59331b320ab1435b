"""``manage.py workspace_create``: a workspace and its first people."""

import json
from argparse import ArgumentParser
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from countersign.accounts.errors import AccountsError
from countersign.accounts.services import PersonDraft, Prepared, workspace_prepare

FORM = 'USER:ROLE[,ROLE…]:EMAIL, for example "bob:reviewer:finance:Bob Lee <bob@example.org>"'


class Command(BaseCommand):
    """Makes what is missing and says what it made; one-time passwords are shown once."""

    help = "Make a workspace with the starter policy, and its people. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what people call the workspace")
        parser.add_argument("--slug", required=True, help="its name in addresses: /w/<slug>/")
        parser.add_argument("--person", action="append", default=[], help=FORM, metavar="PERSON")
        parser.add_argument(
            "--keep-passwords",
            action="store_true",
            help="let people keep their one-time password after the first login",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_: str, **options: Any) -> None:
        try:
            prepared = workspace_prepare(
                name=options["name"],
                slug=options["slug"],
                people=[parse_person(text) for text in options["person"]],
                must_change_password=not options["keep_passwords"],
            )
        except AccountsError as error:
            raise CommandError(str(error)) from error
        self._print_json(prepared) if options["json"] else self._print(prepared)

    def _print(self, prepared: Prepared) -> None:
        verb = "made" if prepared.created else "was there already"
        self.stdout.write(f"Workspace {prepared.workspace.slug} {verb}.")
        for username, password in prepared.passwords.items():
            self.stdout.write(f"  {username}  one-time password: {password}")
        self.stdout.write(f"Console: {settings.COUNTERSIGN_URL}/w/{prepared.workspace.slug}/")

    def _print_json(self, prepared: Prepared) -> None:
        result = {
            "workspace": str(prepared.workspace.id),
            "slug": prepared.workspace.slug,
            "created": prepared.created,
            "passwords": dict(prepared.passwords),
        }
        self.stdout.write(json.dumps(result))


def parse_person(text: str) -> PersonDraft:
    """Read one ``--person``. Roles may hold a colon, so the first and the last one divide.

    Raises:
        CommandError: not of that form.
    """
    username, _, rest = text.partition(":")
    roles, _, mail = rest.rpartition(":")
    name, email = parseaddr(mail)
    if not username.strip() or not roles or "@" not in email:
        raise CommandError(f"{text!r} is not of the form {FORM}")
    return PersonDraft(
        username=username.strip(),
        name=name or username.strip().capitalize(),
        email=email,
        roles=[role.strip() for role in roles.split(",")],
    )
