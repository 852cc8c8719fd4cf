"""Scores every row of a CSV file, many at once; run it again to go on where it was killed.

The journal, which holds the answers, is made next to the file:

    python examples/map_with_journal.py churn-xgb customers.csv > scores.jsonl
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import sm_private_client as smp

endpoint_name, path = sys.argv[1:]
predictor = smp.Session().predictor(endpoint_name, codec="csv")

with Path(path).open(newline="") as lines:
    rows = csv.reader(lines)
    with predictor.map(rows, batch_size=100, journal=f"{path}.journal") as scores:
        for score in scores:
            print(json.dumps(score))
