"""Asks POST /chat with the clients of Python and prints a line of JSON for each: its name, and the events as it reads them.

The URL is the argument, the request is in the variable REQUEST. The clients keep their own limits of time.
"""

import json
import os
import sys

import httpx
import httpx2
from httpx_sse import connect_sse
from openai._streaming import SSEDecoder

url, question = sys.argv[1], json.loads(os.environ["REQUEST"])


def openai():
    """What OpenAI's SDK reads its own streams with, over its HTTP client."""
    with httpx2.stream("POST", url, json=question) as response:
        yield from SSEDecoder().iter_bytes(response.iter_bytes())


def httpx_sse():
    with httpx.Client() as client, connect_sse(client, "POST", url, json=question) as source:
        yield from source.iter_sse()


for client in (openai, httpx_sse):
    events = [[event.event, json.loads(event.data)] for event in client()]
    print(json.dumps({"client": client.__name__, "events": events}), flush=True)
