"""A program that calls the API with a token, in tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from countersign.accounts.models import ServiceAccount, Workspace
from countersign.accounts.scopes import Scope
from countersign.accounts.services import IssuedToken, service_account_create, token_issue
from countersign.accounts.services.workspace import COMMAND_LINE

ROOT = "/api/v1"
PROBLEM = "application/problem+json"


@dataclass
class Answer:
    """What came back; every refusal is checked to be a problem of the one shape."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def fields(self) -> list[str]:
        return [error["field"] for error in self.body["errors"]]


@dataclass
class Caller:
    """Calls as a service account; `token` "" sends none."""

    token: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def get(self, path: str, **query: Any) -> Answer:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.send("POST", path, json.dumps(body), headers=headers)

    def upload(self, path: str, fields: Mapping[str, Any]) -> Answer:
        """POST a form of fields and files."""
        body = encode_multipart(BOUNDARY, dict(fields))
        return self.send("POST", path, body, content_type=MULTIPART_CONTENT)

    def send(
        self,
        method: str,
        path: str,
        body: str | bytes = b"",
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        response = self.client.generic(
            method,
            path if path.startswith("/") else f"{ROOT}/{path}",
            body,
            content_type,
            query_params=dict(query or {}),
            headers=sent,
        )
        answer = Answer(
            response.status_code,
            dict(response.headers),
            json.loads(response.content) if response.content else None,
        )
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == PROBLEM, response.content
            assert answer.body["status"] == answer.status
            assert set(answer.body) == {"type", "title", "status", "detail", "code", "errors"}
            assert answer.body["detail"]
        return answer


def account_of(workspace: Workspace, name: str = "") -> ServiceAccount:
    made = service_account_create(
        workspace_id=workspace.id, actor=COMMAND_LINE, name=name or f"Program {uuid4()}"
    )
    assert isinstance(made, ServiceAccount)
    return made


def issue(account: ServiceAccount, *scopes: Scope) -> IssuedToken:
    """A token with these scopes, or with all there are."""
    now = datetime.now(UTC)
    made = token_issue(
        workspace_id=account.workspace_id,
        actor=COMMAND_LINE,
        service_account_id=account.id,
        name="test",
        scopes=[scope.value for scope in scopes or Scope],
        expires=now + timedelta(days=1),
        now=now,
    )
    assert isinstance(made, IssuedToken)
    return made


def caller_in(workspace: Workspace, *scopes: Scope) -> Caller:
    """A program of this workspace with these scopes, or with all there are."""
    return Caller(issue(account_of(workspace), *scopes).secret)
