"""How much may happen: `limits` of one run, and budgets of `effects` over a day.

Both are pure; `spending` reserves effects against their budgets before they happen.
"""
