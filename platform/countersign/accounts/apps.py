"""People, workspaces, service accounts and their tokens."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "countersign.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from countersign.accounts import checks  # noqa: F401, PLC0415 - registers them
