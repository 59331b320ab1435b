"""A registered tool version bound to the code behind it, checked to be what was registered."""

from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from agents.errors import ToolChanged
from agents.models import ToolVersion
from agents.sandbox.contract import Parameter, Stub
from agents.tools import http
from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolDefinitionError, ToolImportError
from agents.tools.registry import load
from agents.tools.stubs import render
from policies.facts.record import ToolSpec

SENSITIVE_LABELS = frozenset({"personal", "confidential"})


@dataclass(frozen=True)
class BoundTool:
    """One tool of an agent version, in every form the loop needs it.

    Attributes:
        version: the registered row; what is journaled and signed.
        definition: the code, with the same content hash.
        spec: what facts and policies know of it.
        stub: what the program sees.
    """

    version: ToolVersion
    definition: ToolDefinition
    spec: ToolSpec
    stub: Stub

    @property
    def name(self) -> str:
        return self.spec.name

    @cached_property
    def shown(self) -> str:
        """What the model reads of it; the conversation is rebuilt at every turn."""
        return render(self.definition)

    @property
    def sensitive(self) -> bool:
        """Whether even a read has its intent committed before it runs."""
        return self.version.tier >= 2 or bool(SENSITIVE_LABELS & self.spec.labels)


def bind(version: ToolVersion) -> BoundTool:
    """Find the code of a registered version.

    Raises:
        ToolChanged: the code is gone or is not what was registered; register it again.
    """
    try:
        definition = _definition(version)
    except (ToolImportError, ToolDefinitionError) as error:
        raise ToolChanged(f"Tool {version}: {error}") from error
    if definition.digest != version.digest:
        raise ToolChanged(f"Tool {version} is not what was registered; register it again.")
    return BoundTool(version, definition, spec_of(definition), stub_of(definition))


def _definition(version: ToolVersion) -> ToolDefinition:
    """The tool behind a version: code of this installation, or the stored operation itself."""
    if version.kind != http.KIND:
        return load(version.target, settings.COUNTERSIGN_TOOL_MODULES)
    contract = http.Contract(
        name=version.tool.name,
        description=version.description,
        parameters=version.parameters,
        result=version.result,
        effect=version.effect,
        tier=version.tier,
        labels=frozenset(version.labels),
        roles=version.roles,
        idempotent=version.idempotent,
        timeout_s=version.timeout_s,
        max_result_bytes=version.max_result_bytes,
        reread=str(version.operation.get("reread", "journal")),
    )
    return http.load(contract, version.operation)


def spec_of(definition: ToolDefinition) -> ToolSpec:
    return ToolSpec(
        name=definition.name,
        version=definition.digest,
        effect=definition.effect.value,
        tier=definition.tier,
        labels=definition.labels,
        roles=definition.roles,
        parameters=definition.parameters,
        idempotent=definition.idempotent,
    )


def stub_of(definition: ToolDefinition) -> Stub:
    return Stub(
        definition.name,
        tuple(
            Parameter(a.name)
            if a.required
            else Parameter(a.name, required=False, default=a.default)
            for a in definition.arguments
        ),
    )
