"""Registers the models, tools and agents of a file in a workspace."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from agents.errors import Refused
from agents.registry import register
from audit.services import Actor


class Command(BaseCommand):
    help = "Register models, tools and agents from FILE; versions are made where content changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--workspace", required=True, metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        workspace = apps.get_model("accounts", "Workspace")
        found = workspace._default_manager.filter(slug=options["workspace"]).first()
        if found is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        try:
            actor = Actor("system", "command-line", "command line")
            report = register(workspace_id=found.pk, text=text, actor=actor)
        except Refused as error:
            raise CommandError(f"Nothing was registered.\n{error}") from error
        for line in report.made:
            self.stdout.write(f"made       {line}")
        for line in report.unchanged:
            self.stdout.write(f"unchanged  {line}")
