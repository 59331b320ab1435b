"""System checks: nothing may stand beside memberships as a source of rights."""

from collections.abc import Iterable

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

BACKENDS = frozenset(
    {
        "django.contrib.auth.backends.ModelBackend",
        "guardian.backends.ObjectPermissionBackend",
    }
)


@register(Tags.security)
def no_way_around_roles(**_: object) -> Iterable[CheckMessage]:
    """The Django admin, unknown authentication back ends and guardian's anonymous user."""
    if apps.is_installed("django.contrib.admin"):
        yield Error("The Django admin writes past every service.", id="accounts.E001")
    for backend in set(settings.AUTHENTICATION_BACKENDS) - BACKENDS:
        yield Error(f"{backend} may grant rights that no role gives.", id="accounts.E002")
    if getattr(settings, "ANONYMOUS_USER_NAME", "unset") is not None:
        yield Error("Guardian must not make an anonymous account.", id="accounts.E003")
