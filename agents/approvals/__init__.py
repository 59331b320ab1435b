"""Countersigning a run: what people are asked, and that just this then happens.

`asking` puts a program, effects or an answer before them, `answering` takes up what they said. In
between stand `manifest`, effects as people sign them (pure); `binding`, all that a signature
covers; `card`, all that they see, with the last request like it by `comparison`; `editing`, their
own version of it, and `replaced`, what that changed. Before anything happens `drift` reads again
what a signed manifest rests on, and `countersigned` holds what is about to run against what was
signed.
"""
