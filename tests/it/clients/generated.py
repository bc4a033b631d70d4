"""Generates a client of the description, and searches with it."""

import subprocess
import sys
import sysconfig
import tempfile

import httpx

url = sys.argv[1]
folder = tempfile.TemporaryDirectory()
description = f"{folder.name}/openapi.json"
with open(description, "w") as file:
    file.write(httpx.get(f"{url}/openapi.json").raise_for_status().text)
programs = sysconfig.get_path("scripts")
subprocess.run(
    [f"{programs}/openapi-python-client", "generate", "--path", description, "--output-path", f"{folder.name}/client",
     "--meta", "none"],
    env={"PATH": f"{programs}:/usr/bin:/bin"}, stdout=sys.stderr, check=True)

sys.path.insert(0, folder.name)
from client import Client
from client.api.search import search
from client.models import SearchRequest

answer = search.sync(client=Client(base_url=url), body=SearchRequest(query="When does the beach close?", limit=1))
print(answer.hits[0].document_id)
