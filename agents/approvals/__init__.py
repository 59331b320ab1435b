"""Countersigning a run: what people are asked, and that just this then happens.

`manifest` lists effects as people sign them (pure), `asking` puts code, manifest or answer before
them and takes up what they said, `comparison` holds the last like it beside, `editing` is their own
version of it, `drift` reads again what a signed manifest rests on, and `countersigned` holds what
is about to run against what was signed.
"""
