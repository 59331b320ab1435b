from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "countersign.console"
    label = "console"
    verbose_name = "Console"
