"""Model endpoints as workers use them: one client per endpoint version and process."""

import functools
from uuid import UUID

from agents.llm.client import ChatModel, OpenAIChatModel
from agents.llm.endpoint import EndpointKind, EndpointSpec
from agents.models import ModelEndpoint
from agents.tools.secrets import resolve


def endpoint_spec(endpoint: ModelEndpoint) -> EndpointSpec:
    """The stored endpoint as the client takes it."""
    settings = dict(endpoint.settings)
    unsupported = frozenset(settings.pop("unsupported", ()))
    return EndpointSpec(
        base_url=endpoint.base_url,
        model=endpoint.model,
        api_key_ref=endpoint.api_key_ref,
        kind=EndpointKind(endpoint.kind),
        unsupported=unsupported,
        **settings,
    )


def chat_model(endpoint: ModelEndpoint) -> ChatModel:
    """The client of an endpoint version, shared by the runs of this process."""
    return _client(endpoint.id, endpoint_spec(endpoint))


@functools.lru_cache(maxsize=64)
def _client(endpoint_id: UUID, spec: EndpointSpec) -> ChatModel:
    return OpenAIChatModel(spec, resolve_secret=resolve)
