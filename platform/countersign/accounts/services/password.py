"""A one-time password for someone who has lost theirs; done from the command line only."""

from django.utils import timezone

from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import codes
from countersign.accounts.errors import UnknownAccount
from countersign.accounts.models import User
from countersign.accounts.services.notice import About, tell
from countersign.accounts.services.workspace import COMMAND_LINE


def password_reset(*, username: str, actor: Actor = COMMAND_LINE) -> tuple[User, str]:
    """Replace someone's password by a one-time one; sessions of theirs end by it.

    Their authenticator stays: a new password alone signs nothing that takes a code.

    Raises:
        UnknownAccount: nobody active has this name.
    """
    with in_workspace(None):
        user = (
            User.objects.select_for_update()
            .filter(username__iexact=username.strip(), is_active=True)
            .first()
        )
        if user is None:
            raise UnknownAccount(f"Nobody here is called {username!r}.")
        password = codes.readable(4)
        user.set_password(password)
        user.must_change_password = True
        user.save(update_fields=["password", "must_change_password"])
        record(None, [Draft("password.reset", actor, Subject("user", str(user.id)))])
        tell(user, About.PASSWORD_RESET, timezone.now())
        return user, password
