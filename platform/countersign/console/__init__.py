"""The console: pages that people read, and forms by which they act.

A view guards first, calls one service or selector, and renders. No rule of the domain lives here.
"""
