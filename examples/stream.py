"""Streams a chat model's answer as it is written.

Takes an inference endpoint whose container speaks OpenAI's chat format, such as vLLM or LMI:

    python examples/stream.py chat-llm "Why is the sky blue?"
"""

from __future__ import annotations

import sys

import sm_private_client as smp

endpoint_name, question = sys.argv[1:]
asked = {"messages": [{"role": "user", "content": question}], "max_tokens": 256, "stream": True}

with smp.Session().predictor(endpoint_name).stream(asked) as stream:
    for chunk in stream.chat_chunks():
        for choice in chunk["choices"]:
            print(choice["delta"].get("content") or "", end="", flush=True)
print()
print(f"first byte after {stream.time_to_first_byte:.2f} s", file=sys.stderr)
