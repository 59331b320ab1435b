"""The sequencer as a process: lock, history, witnesses, then rounds until told to stop.

Order at start, and again after each lost connection:
1. wait for the lock (a second process stands by and takes over);
2. refuse a database older than the heads kept outside it;
3. ask the witnesses what they last saw, and note in the log if the anchors are others than before;
4. place entries; sign checkpoints when due; a second thread brings them to the anchors.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

from django.db import Error as DatabaseError
from django.db import connections
from opentelemetry import metrics

from audit import anchoring, checkpoints
from audit.anchors.base import Anchor
from audit.errors import AnchorUnavailable, SequencerBusy
from audit.sequencer import Round, Sequencer

log = logging.getLogger(__name__)

POLL_S = 0.05
"""Gap between rounds while entries arrive; NOTIFY instead would serialise every commit."""
BUSY_POLL_S = 0.15
"""Gap after a round that placed `BUSY` entries. On a machine at its limit a round costs five
milliseconds before its first entry: fewer, larger ones leave writers a twentieth more."""
BUSY = 50
IDLE_POLL_S = 0.1
IDLE_AFTER_S = 5.0
STAND_BY_S = 1.0
RETRY_S = 1.0
SIGN_EVERY_S = 1.0
ANCHOR_EVERY_S = 2.0

_meter = metrics.get_meter("countersign.audit")
_lag = _meter.create_histogram(
    "countersign.audit.sequencer.lag", unit="s", description="Age of the oldest entry of a round"
)
_placed = _meter.create_counter(
    "countersign.audit.sequencer.entries", description="Entries given a position"
)


def pause_after(done: Round, quiet_s: float = 0.0) -> float:
    """Seconds until the next round; `quiet_s`: since entries were last placed."""
    if done.full:
        return 0.0
    if done.placed >= BUSY:
        return BUSY_POLL_S
    return POLL_S if quiet_s < IDLE_AFTER_S else IDLE_POLL_S


@dataclass
class Daemon:
    """Runs until `stop` is set; raises only what a person must look at."""

    using: str
    anchors: Sequence[Anchor]
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Sequence until stopped.

        Raises:
            HistoryConflict: A witness or a saved head contradicts the database.
        """
        while not self.stop.is_set():
            try:
                self._session()
            except DatabaseError as error:
                log.warning("database: %s; connecting again", str(error).strip())
            except AnchorUnavailable as error:
                log.warning("no witness answers: %s", error)
            finally:
                connections[self.using].close()
            self.stop.wait(RETRY_S)

    def _session(self) -> None:
        sequencer = Sequencer(self.using)
        if not self._lock(sequencer):
            return
        checkpoints.require_history(self.using)
        anchoring.ask_witnesses(self.using, self.anchors)
        anchoring.note_changes(self.using, self.anchors)
        ended = threading.Event()
        courier = threading.Thread(target=self._deliver, args=[ended], name="anchors", daemon=True)
        courier.start()
        try:
            self._sequence(sequencer)
        finally:
            ended.set()
            courier.join(timeout=15)

    def _lock(self, sequencer: Sequencer) -> bool:
        while not self.stop.is_set():
            try:
                sequencer.lock()
            except SequencerBusy:
                self.stop.wait(STAND_BY_S)
            else:
                log.info("sequencing")
                return True
        return False

    def _sequence(self, sequencer: Sequencer) -> None:
        busy_at = signed_at = monotonic()
        while not self.stop.is_set():
            done = sequencer.round()
            now = monotonic()
            if done.placed:
                busy_at = now
                _report(done)
            if now - signed_at >= SIGN_EVERY_S:
                checkpoints.sign_due(self.using)
                signed_at = now
            self.stop.wait(pause_after(done, now - busy_at))
        sequencer.catch_up()
        checkpoints.sign_due(self.using, everything=True)

    def _deliver(self, ended: threading.Event) -> None:
        try:
            while not ended.wait(ANCHOR_EVERY_S):
                for result in anchoring.submit_due(self.using, self.anchors):
                    if result.error:
                        level = logging.ERROR if result.refused else logging.WARNING
                        log.log(level, "anchor %s: %s", result.anchor, result.error)
        except DatabaseError as error:
            log.warning("anchors: %s", str(error).strip())
        finally:
            connections[self.using].close()


def _report(done: Round) -> None:
    _placed.add(done.placed)
    _lag.record(done.oldest_s)
