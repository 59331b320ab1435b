"""Policies: facts, decisions and approvals."""

from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "policies"
    label = "policies"
    default_auto_field = "django.db.models.BigAutoField"
