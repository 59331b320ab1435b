"""The published schema is valid, says everything, and is what the API does."""

import json
import re
from typing import Any
from uuid import UUID

import jsonschema
import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from audit import checkpoints, exports, selectors
from audit.export.scope import Kind, Scope
from audit.sequencer import Sequencer
from audit.verification import request_verification
from tests.agents.runs.stage import Stage
from tests.countersign.api.caller import account_of, issue
from tests.countersign.api.conftest import PAY
from tests.countersign.api.operations import OPERATIONS

EXAMPLES = 6
MAY_LACK = {
    "run_start",
    "kill_switch_set",
    "checkpoint_latest",
    "checkpoint_note",
    "policy_draft",
    "roles_propose",
    "run_upload",
}
"""Operations whose address names nothing, and which yet may not find something."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.content)
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(op["operationId"], op) for path in document["paths"].values() for op in path.values()]


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_says_what_it_needs_and_every_answer(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        scope = {each.id: each.scope for each in OPERATIONS}[name]
        assert operation["security"] == [{"Bearer": [scope]}]
        assert f"`{scope}`" in operation["description"]
        assert operation["summary"]
        answers = operation["responses"]
        assert {"200", "401", "403", "429", "500", "503"} <= set(answers), name
        assert ("404" in answers) is ("{" in str(path_of(document, name)) or name in MAY_LACK)
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= set(answers)
            takes_json = "application/json" in operation["requestBody"]["content"]
            assert ("415" in answers) or not takes_json
        for status, answer in answers.items():
            assert answer["description"]
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"]
        assert "WWW-Authenticate" in answers["401"]["headers"]
        assert "Retry-After" in answers["429"]["headers"]


def path_of(document: dict[str, Any], name: str) -> str:
    return next(
        str(path)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if operation["operationId"] == name
    )


def test_no_operation_casts_a_vote(document: dict[str, Any]) -> None:
    changing = {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "get"
    }
    jobs = {"export_start", "verification_start"}
    proposals = {"registration_propose", "roles_propose", "change_withdraw"}
    proposals |= {"policy_draft", "policy_simulate", "policy_submit"}
    runs = {"run_start", "run_upload", "run_cancel"}
    assert changing == runs | {"kill_switch_set"} | jobs | proposals


def test_the_examples_of_bodies_fit(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    example = {
        name: field["examples"][0]
        for name, field in schemas["RunIn"]["properties"].items()
        if "examples" in field
    }
    assert set(example) == {"agent", "inputs"}
    jsonschema.validate(example, {**schemas["RunIn"], "components": document["components"]})


def test_the_api_does_what_the_schema_says(committing_stage: Stage) -> None:
    stage = committing_stage
    waiting = stage.play(stage.start(PAY))
    known = {"run_id": waiting.id, "request_id": stage.request(waiting).id, "number": 1}
    known |= log_of(stage)
    account = account_of(stage.cast.acme)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    tried = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name == "run_stream":
            continue
        # A token for each, as one alone may not be used so often in a minute.
        headers = {"Authorization": f"Bearer {issue(account).secret}"}
        for mode in GenerationMode:
            try_out(operation.as_strategy(generation_mode=mode), known, headers)
        tried.append(name)
    assert len(tried) == len(OPERATIONS) - 1


def log_of(stage: Stage) -> dict[str, object]:
    """A signed log with a finished export and a check."""
    Sequencer("sequencer").catch_up()
    checkpoints.sign_due("sequencer", everything=True)
    dan = stage.cast.actor("dan")
    [entry] = selectors.entries(stage.workspace_id, limit=1).entries
    job = exports.request_export(
        stage.workspace_id, Scope(Kind.WORKSPACE), payloads=False, actor=dan
    )
    exports.make_export(stage.workspace_id, job.id)
    latest = selectors.checkpoint(stage.workspace_id)
    assert latest is not None
    return {
        "entry_id": entry.id,
        "size": latest.size,
        "export_id": job.id,
        "verification_id": request_verification(stage.workspace_id, dan).id,
    }


def try_out(
    cases: SearchStrategy[Case[Any]], known: dict[str, object], headers: dict[str, str]
) -> None:
    """Call an operation with what is made up, of things that are there."""

    @bounded
    @given(case=cases)
    def play(case: Case[Any]) -> None:
        for parameter, value in known.items():
            if usable(case.path_parameters.get(parameter)):
                case.path_parameters[parameter] = str(value)
        case.call_and_validate(headers=headers, checks=CHECKS)

    play()


def usable(value: object) -> bool:
    """Whether a made-up path parameter is one that the schema allows."""
    return bool(re.fullmatch(r"\d+", str(value))) or is_uuid(str(value))


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
