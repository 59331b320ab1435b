"""Who may open a page. Each view calls one of these first and returns early.

A stranger to the workspace gets 404, for pages and objects alike: whether they exist is already
more than they may know. A member without the role gets 403 with a sentence.

Where the installation requires a code at login, a session that began without one opens nothing:
whoever has no authenticator gets the pages to set one up, everybody else the login.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.contrib import auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

import agents.errors
import policies.errors
from audit.naming import PLATFORM_NAME
from audit.services import Actor
from audit.transactions import PLATFORM
from countersign.accounts import selectors as accounts
from countersign.accounts.models import User, Workspace
from countersign.accounts.roles import REVIEWER_PREFIX, Role
from countersign.accounts.services import CodeAtLogin, code_at_login, logout
from countersign.console import words

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
FACTOR_KEY = "factor"
"""In a session: the authenticator whose code was given when it began, or was set up in it."""


@dataclass(frozen=True)
class Member:
    """One person in one workspace, with the roles held at this moment."""

    user: User
    workspace: Workspace
    roles: frozenset[str]

    @property
    def id(self) -> UUID:
        return self.workspace.id

    @property
    def slug(self) -> str:
        return self.workspace.slug

    @property
    def is_platform(self) -> bool:
        """No workspace: the installation, whose log this person reads and nothing else."""
        return self.id == PLATFORM

    @property
    def actor(self) -> Actor:
        return Actor("user", str(self.user.id), self.user.name)

    @property
    def is_operator(self) -> bool:
        return Role.OPERATOR in self.roles

    @property
    def is_auditor(self) -> bool:
        return Role.AUDITOR in self.roles

    @property
    def is_admin(self) -> bool:
        return Role.ADMIN in self.roles

    @property
    def is_officer(self) -> bool:
        return Role.POLICY_OFFICER in self.roles

    @property
    def is_reviewer(self) -> bool:
        return any(role.startswith(REVIEWER_PREFIX) for role in self.roles)

    @property
    def may_propose(self) -> bool:
        """Changes of what is registered."""
        return self.is_operator or self.is_admin

    @property
    def may_stop(self) -> bool:
        return self.is_operator or self.is_admin or self.is_reviewer

    @property
    def may_kill(self) -> bool:
        """Who may set a kill switch: whoever works with runs or governs them."""
        return self.may_stop or self.is_officer

    @property
    def may_lift(self) -> bool:
        return self.is_admin or self.is_officer

    @property
    def may_replay(self) -> bool:
        """Whoever audits, and whoever works with runs: it costs a worker's time."""
        return self.is_auditor or self.is_operator

    @property
    def may_sign(self) -> bool:
        """Whether any request can wait for this person."""
        return self.is_reviewer or self.is_officer

    @property
    def may_settle(self) -> bool:
        return self.is_operator or self.is_reviewer

    @property
    def role_words(self) -> str:
        return ", ".join(words.role(role) for role in sorted(self.roles))


def page(view: View[P]) -> View[P]:
    """A page for people who are logged in; what another workspace owns is 404."""
    return _behind(view, _code_due, _password_due, _enrolment_due)


def factor_page(view: View[P]) -> View[P]:
    """A page on which one sets one's authenticator up: the only ones before there is one."""
    return _behind(view, _code_due, _password_due)


def password_page(view: View[P]) -> View[P]:
    """The page on which one changes one's password."""
    return _behind(view, _code_due)


def _behind(view: View[P], *steps: Callable[[HttpRequest], HttpResponse | None]) -> View[P]:
    """A view behind the login and what must be done first: a step says where to, or nothing."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        for step in steps:
            elsewhere = step(request)
            if elsewhere is not None:
                return elsewhere
        if "\x00" in request.path_info:
            raise Http404("nothing is called so: no name that is stored holds it")
        try:
            return view(request, *args, **kwargs)
        except (agents.errors.NotFound, policies.errors.NotFound) as error:
            raise Http404(str(error)) from error

    return login_required(guarded)


def _code_due(request: HttpRequest) -> HttpResponse | None:
    """To the login, out of a session that the person's present authenticator has not begun."""
    if code_at_login() is not CodeAtLogin.REQUIRED:
        return None
    user = signed_in(request)
    factor = accounts.factor_id_of(user.id)
    if factor is None or request.session.get(FACTOR_KEY) == str(factor):
        return None
    logout(user_id=user.id)
    auth.logout(request)
    return redirect_to_login(_here(request))


def _password_due(request: HttpRequest) -> HttpResponse | None:
    """To the page that changes a one-time password."""
    return redirect("console:password") if signed_in(request).must_change_password else None


def _enrolment_due(request: HttpRequest) -> HttpResponse | None:
    """To the page that sets an authenticator up, where everybody must have one."""
    if code_at_login() is not CodeAtLogin.REQUIRED:
        return None
    if accounts.factor_id_of(signed_in(request).id) is not None:
        return None
    return redirect(f"{reverse('console:factor')}?{urlencode({'next': _here(request)})}")


def _here(request: HttpRequest) -> str:
    """The page to come back to; what is only posted to is none."""
    return request.get_full_path() if request.method == "GET" else reverse("console:home")


def signed_in(request: HttpRequest) -> User:
    """The person who is logged in; `page` has seen to it that there is one."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Log in first.")
    return request.user


def member(request: HttpRequest, slug: str) -> Member:
    """The person as a member of the workspace.

    Raises:
        Http404: there is no such workspace, or the person has no role in it.
    """
    user = signed_in(request)
    workspace = accounts.workspace_for(user, slug)
    if workspace is None:
        raise Http404("no such workspace for this person")
    roles = accounts.roles_of(user.id, workspace.id)
    if not roles:
        raise Http404("no role in this workspace")
    return Member(user, workspace, roles)


def operator(request: HttpRequest, slug: str) -> Member:
    """A member who starts and follows runs."""
    found = member(request, slug)
    return _able(found, found.is_operator, "operator", "start a run")


def administrator(request: HttpRequest, slug: str) -> Member:
    """A member who looks after people."""
    found = member(request, slug)
    return _able(found, found.is_admin, "administrator", "change people's roles")


def proposer(request: HttpRequest, slug: str) -> Member:
    """A member who may propose changes of what is registered."""
    found = member(request, slug)
    return _able(found, found.may_propose, "operator or administrator", "propose this change")


def settler(request: HttpRequest, slug: str) -> Member:
    """A member who may say what became of an effect in doubt: operators and reviewers."""
    found = member(request, slug)
    return _able(found, found.may_settle, "operator or reviewer", "settle an effect in doubt")


def stopper(request: HttpRequest, slug: str) -> Member:
    """A member who may end a run: operators, administrators and reviewers."""
    found = member(request, slug)
    return _able(found, found.may_stop, "operator, administrator or reviewer", "stop a run")


def replayer(request: HttpRequest, slug: str) -> Member:
    """A member who may have a run replayed: auditors and operators."""
    found = member(request, slug)
    return _able(found, found.may_replay, "auditor or operator", "replay a run")


def kill_setter(request: HttpRequest, slug: str) -> Member:
    """A member who may set a kill switch: everyone but those who only read."""
    found = member(request, slug)
    return _able(
        found,
        found.may_kill,
        "operator, administrator, policy officer or reviewer",
        "set a kill switch",
    )


def kill_lifter(request: HttpRequest, slug: str) -> Member:
    """A member who may lift a kill switch: administrators and policy officers."""
    found = member(request, slug)
    return _able(found, found.may_lift, "administrator or policy officer", "lift a kill switch")


def auditor(request: HttpRequest, slug: str) -> Member:
    """A member who reads the log; for the platform's own, someone the settings name."""
    if slug == PLATFORM_NAME:
        return platform_auditor(request)
    found = member(request, slug)
    return _able(found, found.is_auditor, "auditor", "read the audit log")


def platform_auditor(request: HttpRequest) -> Member:
    """Someone the installation's settings name for the platform's own log.

    Raises:
        Http404: anybody else, whatever their roles.
    """
    user = signed_in(request)
    if not accounts.reads_platform(user):
        raise Http404("not named for the platform's log")
    platform = Workspace(id=PLATFORM, slug=PLATFORM_NAME, name="This installation")
    return Member(user, platform, frozenset({Role.AUDITOR}))


def officer(request: HttpRequest, slug: str) -> Member:
    """A member who writes policies."""
    found = member(request, slug)
    return _able(found, found.is_officer, "policy officer", "change a policy")


def _able(found: Member, able: bool, role: str, act: str) -> Member:
    """The member, if able.

    Raises:
        PermissionDenied: not able; says which role it takes and who gives it.
    """
    if not able:
        raise PermissionDenied(
            f"You need the role {role} to {act}. "
            "The people who give roles are under People, marked administrator."
        )
    return found
