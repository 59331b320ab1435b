from tests.agents.sandbox.fixtures import _kept_lab, lab, steady

__all__ = ["_kept_lab", "lab", "steady"]
