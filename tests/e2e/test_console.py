"""The main job in a real browser: from a task to a countersigned, audited result.

Everything is real but the model, which is the demo's scripted one: web server, worker, sequencer,
jail, database, log.
"""

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e import browser as browsers
from tests.e2e.browser import PATIENCE_MS, Demo, Person


def wait(page: Page, text: str) -> None:
    """Until the page shows `text` by itself; nobody loads it again."""
    expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)


def start_run(alice: Person, week: str) -> str:
    """Start a run by the form; gives the address of the run's page."""
    alice.go("").get_by_role("link", name="Start a run").click()
    page = alice.page
    page.get_by_label("Week").fill(week)
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-f-]{36}/$"))
    return page.url


def open_request(person: Person, week: str, run: str) -> str:
    """Open the request of a run from the queue's card; gives its address."""
    person.page.goto(run)
    wait(person.page, "waiting for signatures")
    person.page.get_by_role("link", name="See the request", exact=True).click()
    expect(person.page).to_have_url(re.compile(r"/approvals/[0-9a-f-]{36}/$"))
    assert week in person.page.content()
    return person.page.url


def sign(person: Person, *, password: str = "") -> None:
    """Read the card that is open and sign it."""
    page = person.page
    page.get_by_role("link", name="Sign to allow").click()
    page.get_by_label("I approve it").check()
    page.get_by_label("Your password").fill(password or person.demo.passwords[person.name])
    page.get_by_role("button", name="Sign", exact=True).click()


def test_a_run_is_countersigned_paid_once_and_verified(demo: Demo, browser: Browser) -> None:
    # (1) Alice starts a run and follows it without loading the page again.
    alice = Person(browser, demo, "alice").log_in()
    run = start_run(alice, "2026-W48")
    wait(alice.page, "waiting for signatures")
    wait(alice.page, "Refused before it ran")
    wait(alice.page, "Operation: waiting, nothing has happened")
    alice.picture("run", height=1250)
    before = demo.payments()

    # (2) She asked for it, so she cannot sign it: no button, and no other way either.
    request = open_request(alice, "2026-W48", run)
    expect(alice.page.get_by_role("link", name="Sign to allow")).to_have_count(0)
    wait(alice.page, "You asked for this; someone else must sign.")
    digest = re.search(r"sha256:([0-9a-f]{64})", alice.page.inner_text("#card"))
    assert digest is not None
    alice.page.goto(f"{request}sign/?seen={digest[1]}")
    alice.page.get_by_label("I approve it").check()
    alice.page.get_by_label("Your password").fill(demo.passwords["alice"])
    with alice.page.expect_response(lambda response: response.request.method == "POST") as sent:
        alice.page.get_by_role("button", name="Sign", exact=True).click()
    assert sent.value.status == 403
    wait(alice.page, "You asked for this; someone else must sign.")

    # (3) Bob finds it in his queue, reads the card, mistypes once, and signs.
    bob = Person(browser, demo, "bob").log_in()
    queue = bob.go("approvals/")
    expect(queue.locator(".entry")).to_have_count(2)
    bob.picture("queue", height=420)
    bob.page.goto(request)
    bob.picture("approval", height=1250)
    card = bob.page.inner_text("#card")
    assert card.index("What will happen") < card.index("The program")
    sign(bob, password="not his password")
    wait(bob.page, "That is not your password. Nothing was done; the attempt is in the log.")
    bob.page.goto(request)
    sign(bob)
    wait(bob.page, "1 of 2 signed")
    wait(bob.page, "waiting, nothing has happened")
    assert demo.payments() == before

    # (4) Erin signs too; the card follows the operation to its end.
    erin = Person(browser, demo, "erin").log_in()
    erin.page.goto(request)
    sign(erin)
    wait(erin.page, "2 of 2 signed")
    wait(erin.page, "happened, each once")
    wait(alice.go(run.split(f"/{browsers.SLUG}/")[1]), "succeeded")

    # (5) Every payment that was shown exists, once.
    paid = demo.payments()[len(before) :]
    shown = re.search(r"create (\d+) payments", card)
    assert shown is not None
    assert len(paid) == len(set(paid)) == int(shown[1])
    assert all(invoice in card for invoice in paid)

    # (6) Dan finds all of it in the log, and the log is whole.
    dan = Person(browser, demo, "dan").log_in()
    run_id = run.rstrip("/").rsplit("/", 1)[1]
    for action, times in (("run.ended", 1), ("approval.consumed", 1), ("vote.cast", 2)):
        entries = dan.go(f"audit/?run={run_id}&action={action}")
        expect(entries.locator("tbody tr")).to_have_count(times)
    dan.go("audit/")
    dan.picture("audit")
    dan.page.get_by_role("button", name="Verify now").click()
    wait(dan.page, "The log is whole")
    verified = demo.manage("audit_verify")
    assert verified.returncode == 0, verified.stdout
    refused = dan.go("audit/?action=vote.refused")
    expect(refused.locator("tbody tr")).to_have_count(1)

    # (7) Nothing on any page broke the content security policy or failed in a script.
    assert [p.complaints for p in (alice, bob, erin, dan)] == [[], [], [], []]


def test_a_rejection_feeds_back_and_the_agent_plans_again(demo: Demo, browser: Browser) -> None:
    # The run that `make demo` started, for the first week.
    bob = Person(browser, demo, "bob").log_in()
    bob.go("approvals/").locator(".entry").first.click()
    card = bob.page.inner_text("#card")
    assert "2026-W47" in card
    invoice = re.search(r"Kessler Büro GmbH.*?\b(9\d{3}|8\d{3})\b", card, flags=re.S)
    assert invoice is not None
    before = demo.payments()
    first = bob.page.url
    bob.page.get_by_role("link", name="Reject with reason").click()
    reason = f"Leave out invoice {invoice[1]}: the goods came back."
    bob.page.get_by_label("Reason").fill(reason)
    bob.page.get_by_label("Your password").fill(demo.passwords["bob"])
    bob.page.get_by_role("button", name="Reject", exact=True).click()
    wait(bob.page, "rejected by Bob")
    wait(bob.page, "nothing happened and nothing will")

    # The agent is told, and asks again for the rest.
    bob.page.get_by_role("link", name="the run").click()
    wait(bob.page, "Rejected by a reviewer")
    wait(bob.page, reason)
    wait(bob.page, "0 of 2 signed")
    bob.page.get_by_role("link", name="See the request", exact=True).click()
    expect(bob.page).not_to_have_url(first)
    again = bob.page.inner_text("#e ~ .scroll, [aria-labelledby=e].scroll")
    assert "Create payment" in again
    assert invoice[1] not in again.split("Send mail")[0]
    assert demo.payments() == before
    assert bob.complaints == []


def verified(program: Path, evidence: Path, key: str, *more: str) -> str:
    """Check something downloaded with the downloaded program, as on a machine without us."""
    command = [sys.executable, "-I", str(program), str(evidence), "--key", key, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=evidence.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_auditor_takes_the_evidence_out_and_it_verifies_alone(
    demo: Demo, browser: Browser, tmp_path: Path
) -> None:
    dan = Person(browser, demo, "dan").log_in()
    page = dan.page

    def download(name: str) -> Path:
        with page.expect_download() as found:
            page.get_by_role("link", name=name, exact=True).first.click()
        kept = tmp_path / found.value.suggested_filename
        found.value.save_as(kept)
        return kept

    # (1) The key and a checkpoint, kept before anything else.
    dan.go("audit/checkpoints/")
    wait(page, "at work")
    key = page.locator("dd .mono", has_text="+").first.inner_text()
    kept = download("Keep this checkpoint")

    # (2) A search by name; the entry's way to the signed root; its payload behind a mask.
    dan.go("audit/")
    page.get_by_label("Who").fill("Alice")
    page.get_by_label("What").select_option("run.started")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name=re.compile("started a run of Accounts payable")).last.click()
    wait(page, "Its neighbours lead from it to one root")
    wait(page, "The root is signed")
    dan.picture("audit-entry", height=1400)
    proof, program = download("Download the proof"), download("Download the program")
    assert "VERIFIED" in verified(program, proof, key)
    assert "supplier invoices" not in page.inner_text("main")
    page.get_by_role("button", name="Reveal Goal").click()
    wait(page, "The log now says that Dan")

    # (3) An export, followed without loading the page again.
    dan.go("audit/exports/")
    page.get_by_role("button", name="Start the export").click()
    wait(page, "Report to print")
    bundle = download("Bundle")
    told = verified(program, bundle, key, "--seen", str(kept), "--allow-open")
    assert "as hashes only" in told
    assert download("Report to print").read_bytes().startswith(b"<!doctype html>")
    assert download("CSV").read_text("utf-8-sig").startswith('"position"')

    # (4) All of it stands in the log, under his name.
    for action, times in (("payload.viewed", 1), ("export.requested", 1), ("export.downloaded", 3)):
        found = dan.go(f"audit/?actor=Dan&action={action}")
        expect(found.locator("tbody tr")).to_have_count(times)
    assert dan.complaints == []


def test_no_page_is_wider_than_the_screen(demo: Demo, browser: Browser) -> None:
    alice = Person(browser, demo, "alice").log_in()
    card = alice.go("approvals/?show=all").locator(".entry").first.get_attribute("href") or ""
    run = alice.go("runs/").locator("td.what a").first.get_attribute("href") or ""
    tabs = ("", "runs/", "approvals/?show=all", "agents/", "tools/", "policies/", "people/")
    addresses = [*(f"/w/{browsers.SLUG}/{tab}" for tab in tabs), card, run]
    too_wide = []
    for address in addresses:
        alice.page.goto(demo.url + address)
        for width in (1440, 1024, 400):
            alice.page.set_viewport_size({"width": width, "height": 900})
            if alice.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                too_wide.append((address, width))
    assert too_wide == []
    assert alice.complaints == []

    dan = Person(browser, demo, "dan").log_in()
    entry = dan.go("audit/").locator("td.what a").first.get_attribute("href") or ""
    rooms = ("audit/", "audit/checkpoints/", "audit/exports/")
    for address in [*(f"/w/{browsers.SLUG}/{room}" for room in rooms), entry]:
        dan.page.goto(demo.url + address)
        for width in (1440, 1024, 400):
            dan.page.set_viewport_size({"width": width, "height": 900})
            assert not dan.page.evaluate(
                "document.documentElement.scrollWidth > window.innerWidth"
            ), (address, width)


def test_everything_works_without_scripts(demo: Demo, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{demo.url}/login")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(demo.passwords["alice"])
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{demo.workspace}/runs/start/Accounts%20payable/")
    page.get_by_label("Week").fill("2026-W49")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("link", name="Stop this run").click()
    page.get_by_label("Reason").fill("Only a try.")
    page.get_by_role("button", name="Stop this run").click()
    expect(page.get_by_text("The run is stopped.")).to_be_visible()
    context.close()


def test_the_log_is_exported_without_scripts(demo: Demo, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{demo.url}/login")
    page.get_by_label("User name").fill("dan")
    page.get_by_label("Password").fill(demo.passwords["dan"])
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{demo.workspace}/audit/?outcome=refused")
    page.get_by_role("link", name="Export this search").click()
    page.get_by_role("button", name="Start the export").click()
    for _ in range(60):
        if page.get_by_role("link", name="Bundle", exact=True).count():
            break
        page.wait_for_timeout(500)
        page.reload()
    with page.expect_download() as found:
        page.get_by_role("link", name="Bundle", exact=True).click()
    assert found.value.suggested_filename.endswith(".zip")
    context.close()
