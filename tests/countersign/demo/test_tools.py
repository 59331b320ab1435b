"""The demo's tools, called as the broker calls them."""

import mailbox
from typing import Any

import pytest
from django.conf import settings

from agents.tools.context import ToolContext
from agents.tools.definition import Effect, ToolDefinition
from agents.tools.errors import ToolArgumentError, ToolFailed
from agents.tools.invoke import invoke
from countersign.demo import tools
from countersign.demo.ledger import Ledger
from tests.countersign.demo.bench import ALL, resolve
from tests.countersign.demo.test_install import WEEK, payment_of


def context(key: str = "run:1:0:key") -> ToolContext:
    return ToolContext("workspace", "run", 1, key, resolve=resolve)


def arguments_of(ledger: Ledger, **changes: object) -> dict[str, Any]:
    payment = {**payment_of(ledger), **changes}
    del payment["id"]
    return payment


def test_only_payments_and_mails_write_and_both_are_idempotent() -> None:
    writes = {tool.name: (tool.tier, tool.idempotent) for tool in ALL if tool.effect == "write"}
    assert writes == {"create_payment": (3, True), "send_mail": (2, True)}
    assert tools.read_vendor_notes.labels == {"untrusted"}
    assert all(tool.labels for tool in ALL if tool.effect is Effect.READ)
    assert tools.create_payment.roles["account"] == "recipient"


@pytest.mark.parametrize(
    ("definition", "count"),
    [
        (tools.list_invoices, 231),
        (tools.list_orders, 240),
        (tools.list_receipts, 256),
        (tools.read_vendor_notes, 11),
    ],
)
def test_reads_give_the_week(ledger: Ledger, definition: ToolDefinition, count: int) -> None:
    assert len(invoke(definition, {"week": WEEK}, context())) == count


def test_vendor_master_has_one_account_per_vendor(ledger: Ledger) -> None:
    vendors = invoke(tools.get_vendors, {}, context())
    assert len({vendor["account"] for vendor in vendors}) == len(vendors) == 40


def test_payment_called_again_with_its_key_is_the_same_payment(ledger: Ledger) -> None:
    arguments = arguments_of(ledger)
    first = invoke(tools.create_payment, arguments, context())
    assert invoke(tools.create_payment, arguments, context()) == first
    assert [r["status"] for r in ledger.invoices(WEEK)].count("drafted") == 1


def test_refused_payment_says_why_and_what_to_do(ledger: Ledger) -> None:
    claimed = arguments_of(ledger, account="DE48581882386006448201")
    with pytest.raises(ToolFailed, match="use the account of get_vendors") as refused:
        invoke(tools.create_payment, claimed, context())
    assert refused.value.kind == "PaymentRefused"


@pytest.mark.parametrize("amount", [170.40, "170.40", True])
def test_amount_that_is_no_whole_number_of_cents_is_refused(ledger: Ledger, amount: object) -> None:
    with pytest.raises(ToolArgumentError, match="amount_cents"):
        invoke(tools.create_payment, arguments_of(ledger, amount_cents=amount), context())


def test_mail_lands_once_in_the_local_mailbox() -> None:
    arguments = {"recipient": "dan@demo.example", "subject": "Paid", "body": "Zwölf."}
    first = invoke(tools.send_mail, arguments, context("run:1:1:mail"))
    assert invoke(tools.send_mail, arguments, context("run:1:1:mail")) == first
    found = list(mailbox.Maildir(settings.COUNTERSIGN_MAILBOX, create=False))
    assert [mail["To"] for mail in found].count("dan@demo.example") == 1


def test_mail_with_a_line_break_in_its_subject_is_refused() -> None:
    arguments = {"recipient": "alice@demo.example", "subject": "a\nBcc: x@y.example", "body": ""}
    with pytest.raises(ToolFailed, match="linefeed"):
        invoke(tools.send_mail, arguments, context("another"))
