"""Addresses: each door brings its own."""

from django.urls import include, path

urlpatterns = [
    path("", include("countersign.api.urls")),
    path("", include("countersign.console.urls")),
]
