"""``manage.py password_reset``: a one-time password for someone who has lost theirs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from countersign.accounts.errors import UnknownAccount
from countersign.accounts.services import password_reset


class Command(BaseCommand):
    """Whoever runs this administers the machine; the log says that the command line did it."""

    help = "Give someone a one-time password, shown once. Their authenticator stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="the name they log in with")

    def handle(self, *_: str, **options: Any) -> None:
        try:
            user, password = password_reset(username=options["username"])
        except UnknownAccount as error:
            raise CommandError(str(error)) from error
        self.stderr.write(
            f"{user.name} must change it at the next login; their sessions have ended. Give it to"
            " them in person. It is shown this once:"
        )
        self.stdout.write(password)
