"""`manage.py audit_key show|rotate|retire`: the log's signing key."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit import rotation, signing
from audit.errors import AuditError
from audit.services import Actor
from audit.transactions import PLATFORM

OPERATOR = Actor("system", "audit_key", "Command line")


class Command(BaseCommand):
    help = "Show the verifier keys of a workspace's log, replace the signing key, retire the old."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=["show", "rotate", "retire"])
        parser.add_argument("--workspace", type=UUID, default=PLATFORM)

    def handle(self, *args: object, act: str, workspace: UUID, **options: object) -> None:
        try:
            if act == "rotate":
                trees = rotation.rotate_key(OPERATOR)
                self.stdout.write(f"{trees} trees told; both keys sign until `retire`")
            elif act == "retire":
                signing.retire_key()
            for key in signing.verifier_keys(workspace):
                self.stdout.write(str(key))
        except AuditError as error:
            raise CommandError(str(error)) from error
