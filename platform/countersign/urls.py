"""Addresses: each door brings its own, and answers in its own form what belongs to none."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path

from countersign.api import problems
from countersign.console.views import errors

urlpatterns = [
    path("", include("countersign.api.urls")),
    path("", include("countersign.console.urls")),
]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """A request that no view was reached by, such as one for a host that is not ours."""
    if problems.is_for_programs(request):
        return problems.bad_request(exception)
    return errors.bad_request(request, exception)


handler400 = bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
