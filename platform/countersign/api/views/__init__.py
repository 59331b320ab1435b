"""The operations of version 1. Each parses, checks the scope, calls one service or selector."""
