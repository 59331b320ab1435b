"""Bundles: what an honest log exports, the verifier accepts."""

from audit.export.scope import Kind, Scope
from tests.audit.history import History


def test_a_whole_workspace_verifies(history: History) -> None:
    for review in (False, True, True):
        history.run(review=review)
    history.sign()
    assert history.verify(history.export()) == 0


def test_one_run_of_several_verifies(history: History) -> None:
    history.run()
    run = history.run(review=True)
    history.run()
    history.sign()
    assert history.verify(history.export(Scope(Kind.RUN, run=run))) == 0
