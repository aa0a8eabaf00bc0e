"""The committed JSON Schemas of what the commands print."""
