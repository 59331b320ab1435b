"""Programs that hide from whoever reads them: unreadable, oversized, deceptive."""

import pytest

from policies.engine import Outcome
from tests.policies.suites import Program, verdict

SEND = 'send_mail(to="a@b.example", subject="s", body="b")'


@pytest.mark.parametrize(
    "code",
    [
        "def f(:",
        SEND + "\n)",
        SEND + "\0",
        SEND + "\n#" + "x" * 10_000_000,
        SEND + "\nx = " + "(" * 10_000 + ")" * 10_000,
        SEND + "\nx = " + "-" * 50_000 + "1",
        SEND + "\nx = 1" + "0" * 10_000,
        SEND + "\nx = '\ud800'",
        SEND + " # \u202e)'b'=ot(liam_dnes\u202c",
        SEND + " # \U000e0073\U000e0065",
        "\u0455end_mail = print\n" + SEND,
        "\u0435val = print",
        "send_ma\u0456l = print\n" + SEND,
        "\uff45\uff56\uff41\uff4c('1')",
        "().__\uff43lass__",
    ],
)
def test_code_that_cannot_be_read_as_it_runs_is_denied(code: str) -> None:
    decision = verdict(Program("attack", "hidden", code)).decision
    assert decision.outcome is Outcome.DENY
    assert decision.sentence.startswith("Denied")


@pytest.mark.parametrize("code", ["größe = 1\nprint(größe)", "π = 3.14\nprint(π)", "名前 = 'x'"])
def test_letters_of_other_languages_are_no_attack(code: str) -> None:
    assert verdict(Program("benign", "letters", code)).decision.outcome is Outcome.ALLOW
