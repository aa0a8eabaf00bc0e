"""``python -m oracle.schemas`` writes the schemas anew from the records."""

from __future__ import annotations

import json
from pathlib import Path

from oracle.records import schema

(Path(__file__).parent / "verdict-1.json").write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
