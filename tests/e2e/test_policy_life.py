"""The life of a policy rule in a real browser: written by form, tried, signed, obeyed.

The author's browser runs no scripts; the second officer's and the operator's do.
"""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import PATIENCE_MS, Demo, Person
from tests.e2e.test_console import open_request, sign, start_run, wait

REASON = "Payments over 1,000.00 need three people."
SENTENCE = (
    "Ask three finance reviewers to countersign a call of create_payment when the amount is more"
    " than 1,000.00 or the amount is not known."
)
MASKED = "The argument account is hidden in console and API until whoever reads opens it."
TOLD = "Policy officers are told by mail."


def reload_until(page: Page, text: str) -> None:
    """Without scripts a page is loaded again to see how far something is."""
    for _ in range(60):
        if page.get_by_text(text).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"{text!r} did not come: {page.inner_text('main')[:800]}")


def write_the_rule(page: Page) -> None:
    """From the policy in force to a draft with one more rule."""
    page.get_by_role("link", name="Add a rule").click()
    page.get_by_role("link", name="Amount", exact=True).click()
    page.get_by_label("Tool (optional)").select_option("create_payment")
    page.get_by_label("Over").fill("1000")
    page.get_by_label("It waits for signatures").check()
    page.get_by_label("Who signs").select_option("reviewer:finance")
    page.get_by_role("spinbutton", name="Signatures").fill("3")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Mask in the console").select_option("account")
    page.get_by_label("Tell by mail that it held").select_option("policy_officer")
    page.get_by_label("Name of the rule").fill("large-payments")
    page.get_by_role("button", name="Show the sentence").click()
    expect(page.locator("#sentence")).to_contain_text(f"{SENTENCE} {MASKED} {TOLD}")
    page.get_by_role("button", name="Add to a draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Draft 2")


def test_a_rule_is_written_tried_signed_and_obeyed(demo: Demo, browser: Browser) -> None:
    # (1) Carol composes a rule without Cedar and without scripts.
    carol = Person(browser, demo, "carol", scripts=False).log_in()
    page = carol.go("policies/")
    write_the_rule(page)
    expect(page.locator("#rule-large-payments")).to_contain_text(SENTENCE)
    expect(page.get_by_text("A call of create_payment").first).to_be_visible()

    # (2) She adds a required test that says what the rule is for; all of them pass.
    page.get_by_role("link", name="Add a test").click()
    call = page.locator("form", has=page.get_by_role("button", name="Add the call"))
    call.get_by_label("Name of the test").fill("A large payment waits")
    call.get_by_label("The policy must say").select_option("review")
    call.get_by_label("Tool", exact=True).select_option("create_payment")
    call.get_by_label("Arguments", exact=True).fill(
        '{"vendor": "V", "payee": "P", "account": "A", "amount_cents": 200000,'
        ' "currency": "EUR", "reference": "1"}'
    )
    call.get_by_role("button", name="Add the call").click()
    expect(page.get_by_text("Its required tests pass")).to_be_visible()

    # (3) She simulates it over the decisions of the run that the demo has made.
    page.get_by_role("button", name="Simulate").click()
    reload_until(page, "decided again: some would differ")
    expect(page.get_by_text("waits for").first).to_be_visible()
    page.go_back()
    page.reload()
    carol.picture("policy", height=1250)

    # (4) She submits it, and cannot sign it herself.
    page.get_by_role("button", name="Submit for signature").click()
    expect(page).to_have_url(re.compile(r"/approvals/[0-9a-f-]{36}/$"))
    request = page.url
    expect(page.get_by_role("link", name="Sign to allow")).to_have_count(0)
    expect(page.get_by_text("Tried on past decisions")).to_be_visible()

    # (5) Frank reads what changes, and signs; the version is in force at once.
    frank = Person(browser, demo, "frank").log_in()
    frank.page.goto(request)
    expect(frank.page.get_by_text("What it decides otherwise")).to_be_visible()
    sign(frank)
    expect(frank.page.get_by_text("The change is in force.")).to_be_visible(timeout=PATIENCE_MS)
    expect(frank.go("policies/").locator("#rule-large-payments")).to_be_visible()

    # (6) The next run obeys.
    alice = Person(browser, demo, "alice").log_in()
    run = start_run(alice, "2026-W48")
    wait(alice.page, "waiting for signatures")
    open_request(alice, "2026-W48", run)
    wait(alice.page, REASON)
    wait(alice.page, "0 of 3 signed")
    masked = alice.page.locator("td .chip", has_text="masked")
    expect(masked.first).to_be_visible()
    alice.page.get_by_role("button", name="Show them").click()
    expect(masked).to_have_count(0)
    assert [p.complaints for p in (carol, frank, alice)] == [[], [], []]


def test_the_sentence_follows_what_is_typed(demo: Demo, browser: Browser) -> None:
    frank = Person(browser, demo, "frank").log_in()
    page = frank.go("policies/")
    page.get_by_role("link", name="Add a rule").click()
    page.get_by_role("link", name="Risk tier", exact=True).click()
    page.get_by_label("Risk tier, and above").select_option("4")
    page.get_by_label("It is refused").check()
    expect(page.locator("#sentence")).to_contain_text("risk tier 4 or higher")
    assert frank.complaints == []
