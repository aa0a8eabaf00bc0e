"""``python -m oracle.schemas`` writes the schemas anew from the records."""

from __future__ import annotations

import json

from oracle.schemas import FOLDER, schemas

for name, body in schemas().items():
    (FOLDER / name).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
