import pytest

from agents.llm.chat import Usage
from agents.llm.endpoint import EndpointError, EndpointKind, EndpointSpec


def spec(**changes: object) -> EndpointSpec:
    values: dict[str, object] = {"base_url": "https://models.example/v1", "model": "large"}
    return EndpointSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_cost_is_whole_micros_rounded_up_once() -> None:
    endpoint = spec(price_in_micros_per_mtok=2_500_000, price_out_micros_per_mtok=10_000_000)
    assert endpoint.cost_micros(Usage(1_000_000, 0, estimated=False)) == 2_500_000
    assert endpoint.cost_micros(Usage(1, 1, estimated=False)) == 13
    assert endpoint.cost_micros(Usage(0, 0, estimated=False)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "ftp://models.example"},
        {"base_url": "models.example"},
        {"base_url": "https://user:pass@models.example/v1"},
        {"model": ""},
        {"timeout_s": 0},
        {"timeout_s": float("inf")},
        {"deadline_s": -1},
        {"max_attempts": 0},
        {"max_wait_s": float("nan")},
        {"price_in_micros_per_mtok": -1},
        {"max_output_tokens": 128_000},
        {"kind": EndpointKind.AZURE},
    ],
)
def test_an_unusable_endpoint_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EndpointError):
        spec(**changes)


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        ("gpt-4o", False),
        ("o3-mini", True),
        ("gpt-5.2", True),
        ("openai/o4", True),
        ("grok-4", True),
        ("proto3", False),
    ],
)
def test_reasoning_models_are_asked_without_what_they_reject(model: str, lacks: bool) -> None:
    assert ("stop" in spec(model=model).lacks()) is lacks


def test_scripted_models_are_told_apart_by_their_name() -> None:
    assert spec(model="scripted-demo").scripted
    assert not spec().scripted
