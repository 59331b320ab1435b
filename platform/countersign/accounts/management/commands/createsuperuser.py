"""``manage.py createsuperuser`` in place of Django's: there are no superusers here."""

from countersign.accounts.management.refusing import Refusing


class Command(Refusing):
    help = "Not available: nobody stands above roles. See workspace_create."
    instead = (
        "There are no superusers: nobody stands above roles, and the database refuses the flag."
        " Make a workspace with its first people by: manage.py workspace_create. Everyone else is"
        " added under People in the console. Nothing was made."
    )
