"""BFCL's AST rules."""
