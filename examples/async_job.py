"""Has an asynchronous inference endpoint answer a file, and waits for it.

A file of more than 128,000 bytes, or an older boto3, needs a place in S3 as well:

    python examples/async_job.py summarise-llm report.txt
    python examples/async_job.py summarise-llm report.txt s3://my-bucket/inputs/
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

import sm_private_client as smp

endpoint_name, path, *rest = sys.argv[1:]
content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"

predictor = smp.Session().predictor(endpoint_name, s3_prefix=rest[0] if rest else None)
job = predictor.submit(Path(path).read_bytes(), content_type=content_type, accept=content_type)
print(f"the answer goes to {job.output_location}", file=sys.stderr)

print(job.result(timeout=3600))
