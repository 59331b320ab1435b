"""`manage.py audit_key show|rotate|retire`: the log's signing key."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from audit import rotation, signing
from audit.errors import AuditError, UnknownWorkspace
from audit.naming import PLATFORM_NAME, workspace_named
from audit.services import Actor

OPERATOR = Actor("system", "audit_key", "Command line")


class Command(BaseCommand):
    help = "Show the verifier keys of a workspace's log, replace the signing key, retire the old."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=["show", "rotate", "retire"])
        parser.add_argument(
            "--workspace", default=PLATFORM_NAME, help="its name in addresses, or its id"
        )

    def handle(self, *args: object, act: str, workspace: str, **options: object) -> None:
        try:
            tree = workspace_named(workspace)
            if act == "rotate":
                trees = rotation.rotate_key(OPERATOR)
                self.stdout.write(f"{trees} trees told; both keys sign until `retire`")
            elif act == "retire":
                trees = rotation.retire_key(OPERATOR)
                self.stdout.write(f"{trees} trees told; the new key signs alone")
            for key in signing.verifier_keys(tree):
                self.stdout.write(str(key))
        except (AuditError, UnknownWorkspace) as error:
            raise CommandError(str(error)) from error
