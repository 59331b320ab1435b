"""`manage.py audit_export WORKSPACE`: make a bundle now and print where it lies."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit import exports, selectors
from audit.errors import UnknownWorkspace
from audit.export.scope import Kind, Scope
from audit.models import Export
from audit.naming import name_of, workspace_named
from audit.services import Actor
from audit.signing import verifier_keys
from audit.transactions import in_workspace


class Command(BaseCommand):
    help = "Make a bundle that verifies off-line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="its name in addresses, its id, or: platform")
        parser.add_argument("--run", help="one run, by its id or how it begins; else as hashes")
        parser.add_argument("--first", type=int, help="first position of a range")
        parser.add_argument("--end", type=int, help="position after the last of a range")
        parser.add_argument("--payloads", action="store_true", help="with payloads in the clear")
        parser.add_argument(
            "--seen", type=int, action="append", default=[], help="size the auditor kept"
        )

    def handle(self, *args: object, payloads: bool, **options: object) -> None:
        try:
            workspace = workspace_named(str(options["workspace"]))
        except UnknownWorkspace as error:
            raise CommandError(str(error)) from error
        scope = self._scope(workspace, options)
        actor = Actor("system", "audit_export", "Command line")
        job = exports.request_export(workspace, scope, payloads=payloads, actor=actor)
        exports.make_export(workspace, job.id)
        with in_workspace(workspace):
            job = Export.objects.get(id=job.id)
        if job.state != Export.State.DONE:
            raise CommandError(job.error)
        self.stdout.write(f"{exports.file_of(job)}\nsha256 {job.sha256}")
        for key in verifier_keys(workspace):
            self.stdout.write(f"key {key}")
        self.stdout.write(f"workspace {name_of(workspace)}")

    def _scope(self, workspace: UUID, options: dict[str, object]) -> Scope:
        run, first, end = options["run"], options["first"], options["end"]
        seen = options["seen"]
        sizes = tuple(seen) if isinstance(seen, list) else ()
        if run:
            found = selectors.runs_named(workspace, str(run))
            if len(found) != 1:
                raise CommandError(f"{'More than one' if found else 'No'} run begins with {run}.")
            return Scope(Kind.RUN, run=found[0], sizes=sizes)
        if isinstance(first, int) and isinstance(end, int):
            return Scope(Kind.RANGE, first=first, end=end, sizes=sizes)
        return Scope(Kind.WORKSPACE, sizes=sizes)
