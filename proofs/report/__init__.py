"""Reports: derivations and the ledger of theorems, as people read them.

`write.write_report` and `write.write_derivation` write files; `ledger_table.print_ledger` and
`terminal.print_derivation` print to a terminal. A new format is a module with `render(document)` and
an entry in `write.py`; what the blocks of a document are is in `content.py`.
"""
