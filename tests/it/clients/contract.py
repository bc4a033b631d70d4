"""Sends what the description of the API allows, and what it does not, and compares the answers with it."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile

import jsonschema_rs

url, description = sys.argv[1], os.environ["DESCRIPTION"]
document = json.load(open(description))


def examples():
    """The examples of answers."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    if "example" in content:
                        yield f"{method} {path} {status}", content["schema"], content["example"]


for name, schema, example in examples():
    whole = {**schema, "components": document["components"]}
    for error in jsonschema_rs.validator_for(whole).iter_errors(example):
        sys.exit(f"{name}: the example does not fit its schema: {error}")

settings = """
[[operations]]
# These say that something is unavailable, which is what they are asked for.
include-path = "/health"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]
"""
with tempfile.TemporaryDirectory() as folder:
    run = subprocess.run(
        [os.path.join(sysconfig.get_path("scripts"), "st"), "run", description, "--url", url,
         "--phases", "examples,coverage,fuzzing", "--max-examples", os.environ["REQUESTS"],
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
         "--generation-deterministic", "--generation-database", "none", "--continue-on-failure", "--no-color",
         "--request-timeout", "30"],
        cwd=folder, stdin=subprocess.DEVNULL)
sys.exit(run.returncode)
