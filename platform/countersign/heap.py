"""How a process that serves collects garbage.

By itself CPython walks, again and again, all that was loaded at the start and stays to the end: a
full collection of the web process took 110 ms when measured, up to 450 ms on a slow processor,
and every thread stands still meanwhile. Young objects were collected every 700 allocations, which
took a fifth of the time that a program's analysis took.
"""

import gc

YOUNG = 20_000
"""Objects made, less those freed, before the young are collected. What waits in cycles until then
is a few megabytes; nearly everything is freed by its reference count, at once."""


def settle() -> None:
    """Let the collector pass over all that lives by now; call it once everything is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
