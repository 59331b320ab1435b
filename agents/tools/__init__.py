"""Tools: plain typed functions with a contract that is checked at every call."""
