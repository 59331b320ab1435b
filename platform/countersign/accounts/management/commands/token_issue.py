"""``manage.py token_issue``: a token for a program, shown once."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError

from audit.transactions import in_workspace
from countersign.accounts.errors import AccountsError
from countersign.accounts.models import ServiceAccount, Workspace
from countersign.accounts.scopes import Scope
from countersign.accounts.services import IssuedToken, service_account_create, token_issue
from countersign.accounts.services.workspace import COMMAND_LINE
from policies.errors import Refusal

DAYS = 90
Made = TypeVar("Made", ServiceAccount, IssuedToken)


class Command(BaseCommand):
    """Whoever runs this administers the machine; the log says that the command line did it."""

    help = "Make a token of a service account (made too if missing) and print it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="the workspace's name in addresses: /w/<slug>/")
        parser.add_argument("account", help="name of the service account")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            metavar="SCOPE",
            help=f"what it may be used for; repeat for several: {', '.join(Scope)}",
        )
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--days", type=int, default=DAYS, help=f"days until it expires (default: {DAYS})"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_: str, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(
                f"There is no workspace {options['workspace']!r}. Make it by: workspace_create"
            )
        try:
            issued = _issue(workspace, options)
        except AccountsError as error:
            raise CommandError(str(error)) from error
        self._print_json(issued) if options["json"] else self._print(issued)

    def _print(self, issued: IssuedToken) -> None:
        token = issued.token
        self.stderr.write(
            f"Token of {token.service_account.name} for {', '.join(token.scopes)}, until "
            f"{token.expires:%Y-%m-%d %H:%M} UTC. It is shown this once:"
        )
        self.stdout.write(issued.secret)

    def _print_json(self, issued: IssuedToken) -> None:
        token = issued.token
        result = {
            "token": issued.secret,
            "id": str(token.id),
            "service_account": str(token.service_account_id),
            "scopes": token.scopes,
            "expires": token.expires.isoformat(),
        }
        self.stdout.write(json.dumps(result))


def _issue(workspace: Workspace, options: dict[str, Any]) -> IssuedToken:
    now = datetime.now(UTC)
    # One transaction: a token that cannot be made leaves no account behind.
    with in_workspace(workspace.id):
        account = _account(workspace, options["account"].strip())
        issued = token_issue(
            workspace_id=workspace.id,
            actor=COMMAND_LINE,
            service_account_id=account.id,
            name=options["name"],
            scopes=options["scope"],
            expires=now + timedelta(days=min(max(options["days"], 0), 10_000)),
            now=now,
        )
        return _allowed(issued)


def _account(workspace: Workspace, name: str) -> ServiceAccount:
    found = ServiceAccount.objects.filter(workspace=workspace, name=name).first()
    return found or _allowed(
        service_account_create(workspace_id=workspace.id, actor=COMMAND_LINE, name=name)
    )


def _allowed(result: Made | Refusal) -> Made:
    if isinstance(result, Refusal):
        raise CommandError(result.sentence)
    return result
