"""Attacks on runs stand on the stage that the tests of runs use."""

from tests.agents.runs.conftest import committing_stage, stage

__all__ = ["committing_stage", "stage"]
