"""Whatever an endpoint sends as an answer, taking it raises nothing."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agents.llm.chat import ChatRequest, FinishReason
from agents.llm.wire import MAX_REPLY_CHARS, Answer, cut, take_chunk, take_completion

_KEYS = [
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "index",
    "function",
    "name",
    "arguments",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "finish_reason",
    "model",
    "id",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _JSON))
def test_any_answer_is_taken(value: dict[str, Any]) -> None:
    answer = Answer()
    take_chunk(answer, ChatCompletionChunk.construct(**value))
    take_completion(answer, ChatCompletion.construct(**value))
    assert isinstance(answer.text, str)
    assert answer.usage is None or answer.usage.input_tokens > 0
    assert answer.finish is None or isinstance(answer.finish, FinishReason)


def test_an_endpoint_that_never_stops_talking_is_cut() -> None:
    answer = Answer(text="x" * (MAX_REPLY_CHARS + 5))
    assert cut(answer, ChatRequest([], "m", 5))
    assert len(answer.text) == MAX_REPLY_CHARS
    assert answer.finish is FinishReason.LENGTH
