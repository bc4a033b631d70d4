"""Sends what the description of the API allows, and what it does not, and compares the answers with it."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile

import jsonschema_rs

url, token = sys.argv[1], os.environ.get("TOKEN")
document = json.load(open(os.environ["DESCRIPTION"]))


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

# Examples and the borders of each field; random requests on demand.
PHASES = "examples,coverage,fuzzing" if "RAPPEL_CONTRACT_REQUESTS" in os.environ else "examples,coverage"
SETTINGS = """
[checks]
enabled = false
not_a_server_error.enabled = true
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_schema_conformance.enabled = true

[checks.negative_data_rejection]
# A condition and a permission are checked before the body.
enabled = true
expected-statuses = ["400", "403", "404", "405", "406", "412", "415", "422"]

[[operations]]
# An empty parameter counts as absent, so lists and objects without a member are none that the schema forbids.
include-method = "GET"
checks.negative_data_rejection.enabled = false

[[operations]]
include-method = "DELETE"
checks.negative_data_rejection.enabled = false
"""
authorization = []
if token:
    # Requests without the token, and with a wrong one, are refused on every route that is not public.
    document["security"] = [{"bearer": []}]
    SETTINGS = SETTINGS.replace("[checks]", "[checks]\nignored_auth.enabled = true", 1) + """
[[operations]]
# Only a deep check needs a token.
include-path = "/health"
checks.ignored_auth.enabled = false
"""
    authorization = ["--header", f"Authorization: Bearer {token}"]

with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "schemathesis.toml"), "w") as file:
        file.write(SETTINGS)
    description = os.path.join(folder, "openapi.json")
    with open(description, "w") as file:
        json.dump(document, file)
    # One worker: CPython 3.11 fails at parsing in several threads ("AST constructor recursion depth mismatch").
    run = subprocess.run(
        [os.path.join(sysconfig.get_path("scripts"), "st"), "run", description, "--url", url,
         "--phases", PHASES, "--max-examples", os.environ.get("RAPPEL_CONTRACT_REQUESTS", "1"),
         "--generation-deterministic", "--workers", "1", "--continue-on-failure", "--no-color",
         "--request-timeout", "30", *authorization],
        cwd=folder, stdin=subprocess.DEVNULL)
sys.exit(run.returncode)
