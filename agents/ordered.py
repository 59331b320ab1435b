"""The column that keeps the order of members, under the name by which migrations know it."""

from audit.ordered import OrderedJSONField

__all__ = ["OrderedJSONField"]
