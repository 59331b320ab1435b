"""``manage.py changepassword`` in place of Django's, which leaves no entry in the log."""

from countersign.accounts.management.refusing import Refusing


class Command(Refusing):
    help = "Not available: it would leave no entry in the log. See password_reset."
    instead = (
        "A password set here would be known to two people and stand in no log. Give a one-time"
        " password by: manage.py password_reset USER. Nothing was changed."
    )
