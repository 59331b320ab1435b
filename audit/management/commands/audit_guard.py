"""`manage.py audit_guard`: print the SQL a superuser runs to refuse DDL on the log."""

from django.core.management.base import BaseCommand

from audit.guards import EVENT_TRIGGER_SQL, missing_guards


class Command(BaseCommand):
    help = "Print the SQL that refuses DDL on the log, and say on stderr what is missing."

    def handle(self, *args: object, **options: object) -> None:
        for sentence in missing_guards("default"):
            self.stderr.write(sentence)
        self.stdout.write(EVENT_TRIGGER_SQL)
