"""Rules composed without Cedar: kinds of rules, their text, and back again.

`kinds` says which rules there are and what each asks for; `rule` turns a filled form into the
text of one rule and reads it back; `text` puts rules into a policy text, replaces and removes
them. A form makes a `forbid`, final or waiting for signatures, never a `permit`: it can only make
a policy stricter.
"""

from policies.forms.kinds import KINDS, Field, FormError, Kind, Type
from policies.forms.rule import RuleForm, read, write
from policies.forms.text import append, remove, replace
from policies.pieces import Piece, pieces

__all__ = [
    "KINDS",
    "Field",
    "FormError",
    "Kind",
    "Piece",
    "RuleForm",
    "Type",
    "append",
    "pieces",
    "read",
    "remove",
    "replace",
    "write",
]
