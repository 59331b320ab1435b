"""Where the attacks are played: one prepared log, cloned for each of them."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import UUID, uuid4

from django.db import connections
from django.test import override_settings

from audit import anchoring, signing
from audit.anchors.witness import WitnessAnchor
from audit.canonical import encode
from audit.errors import AuditError
from audit.export import bundle as bundles
from audit.services import Draft, Subject
from audit.verify import verify_log
from tests.attacks.log_forger import Forger
from tests.audit.history import ALICE, History
from tests.audit.witnesses import running_witness
from tests.harness.server import Clone, Server, pointed_at

Caught = dict[str, list[int | str]]
"""layer → exit statuses of the verifier, or checks of `audit_verify`"""

TABLE = Path(__file__).parent.parent / "vectors" / "attacks.json"


@dataclass
class Stage:
    """A prepared log with a witness, and the verdicts of every layer on a copy of it."""

    server: Server
    folder: Path
    template: Clone
    workspace: UUID
    policy: Path
    kept: list[Path]

    @contextmanager
    def clone(self) -> Iterator[Forger]:
        """Give a forger a copy of the log, and his own copy of what lies beside it."""
        name = f"stage_{uuid4().hex[:12]}"
        with self.server.admin.connect("postgres") as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {self.template.name}".encode())
        clone = Clone(name, self.template.host)
        heads_file = self.folder / "home" / "audit-heads.jsonl"
        before = heads_file.read_bytes()
        try:
            with pointed_at(clone), self.server.admin.connect(name) as admin:
                yield Forger(admin, self.workspace)
        finally:
            heads_file.write_bytes(before)
            self.server.drop(clone)

    def caught_by(self, forger: Forger) -> Caught:
        """Return who notices, and by which check."""
        found: Caught = {}
        report = verify_log(self.workspace, open_payloads=True)
        # Whether an entry has waited too long depends on how fast this machine is.
        checks = {finding.check for finding in report.findings} - {"unplaced"}
        if checks:
            found["database"] = sorted(checks)
        try:
            bundle = History(self.workspace).export()
        except (AssertionError, AuditError):
            # The export itself refuses: an entry that a position names is gone.
            return {**found, "bundle": ["export"]}
        seen = [part for path in self.kept for part in ("--seen", str(path))]
        for layer, arguments in {
            "bundle": [],
            "kept": seen,
            "witness": ["--policy", str(self.policy)],
        }.items():
            status = self.verdict(bundle, *arguments)
            if status:
                found[layer] = [status]
        return found

    def verdict(self, bundle: Path, *arguments: str) -> int:
        with redirect_stdout(io.StringIO()):
            return History(self.workspace).verify(bundle, *arguments)

    def forged_bundle(
        self, edit: Callable[[dict[str, bytes]], None], strength: int, folder: Path
    ) -> int:
        """Edit an honest bundle; stronger forgers mend its manifest, then sign it too."""
        files = dict(self.honest)
        edit(files)
        if strength > 1:
            mend_manifest(files, self.workspace, sign=strength == 3)
        forged = folder / "forged.zip"
        with zipfile.ZipFile(forged, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return self.verdict(forged)

    @cached_property
    def honest(self) -> dict[str, bytes]:
        """The files of an untouched bundle."""
        with self.clone(), zipfile.ZipFile(History(self.workspace).export()) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def expected(self, name: str, strength: int) -> Caught:
        table = json.loads(TABLE.read_text())
        found: Caught = table[name][str(strength)]
        return found


def mend_manifest(files: dict[str, bytes], workspace: UUID, *, sign: bool) -> None:
    """Make the manifest list the files as they are now."""
    envelope = json.loads(files.pop("manifest.json"))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["subject"] = [
        {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
        for name, data in files.items()
    ]
    predicate = statement["predicate"]
    predicate["sizes"] = {name: len(data) for name, data in files.items()}
    payload = encode(statement)
    if sign:
        files["manifest.json"] = bundles.envelope(payload, workspace)
    else:
        envelope["payload"] = base64.b64encode(payload).decode()
        files["manifest.json"] = encode(envelope)


@contextmanager
def prepared(server: Server, folder: Path) -> Iterator[Stage]:
    """Write the log that every attack starts from: three runs, a witness, two checkpoints."""
    template = server.clone()
    workspace = uuid4()
    with (
        override_settings(COUNTERSIGN_HOME=folder / "home"),
        running_witness(folder / "witness", signing.verifier_keys(workspace)) as witness,
    ):
        with pointed_at(template):
            kept = _write(History(workspace), witness, folder)
        policy = folder / "policy"
        policy.write_text(f"witness w {witness.key}\nquorum w\n")
        try:
            yield Stage(server, folder, template, workspace, policy, kept)
        finally:
            server.drop(template)


def _write(history: History, witness: WitnessAnchor, folder: Path) -> list[Path]:
    kept = []
    for name in ("first", "second"):
        history.run()
        history.run(review=True)
        history.record(Draft("note.taken", ALICE, Subject("workspace", str(history.workspace))))
        checkpoint = history.sign()
        results = anchoring.submit_due("sequencer", [witness])
        assert not any(result.error for result in results), results
        path = folder / f"{name}.checkpoint"
        path.write_text(checkpoint.note)
        kept.append(path)
    connections.close_all()
    return kept
