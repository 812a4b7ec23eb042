"""Data sources: each reads one published format and converts it to verl's rows."""
