"""Addresses: each door brings its own."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path(prefix, include(module))
    for prefix, module in [
        ("", "countersign.accounts.urls"),
        ("", "countersign.api.urls"),
        ("", "countersign.console.urls"),
    ]
    if find_spec(module)
]
