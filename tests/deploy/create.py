"""Makes a stack in moto of the template that comes on the standard input, prints what was made as JSON, deletes the
stack, and prints what is left."""

import base64
import io
import json
import sys
import zipfile

import boto3


def packed(text):
    """What moto takes for code in a template: a zip in base64."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bootstrap", text)
    return {"ZipFile": base64.b64encode(file.getvalue()).decode()}


template = json.load(sys.stdin)
for resource in template["Resources"].values():
    for name in ("Code", "Content"):
        if resource["Type"].startswith("AWS::Lambda::") and name in resource["Properties"]:
            resource["Properties"][name] = packed(name)
cloudformation = boto3.client("cloudformation")
cloudformation.create_stack(StackName="rappel", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName="rappel")
resources = [one for page in pages for one in page["StackResourceSummaries"]]
functions = {}
for one in resources:
    if one["ResourceType"] == "AWS::Lambda::Function":
        name = one["PhysicalResourceId"]
        functions[one["LogicalResourceId"]] = boto3.client("lambda").get_function_configuration(FunctionName=name)
cloudformation.delete_stack(StackName="rappel")
left = boto3.client("lambda").list_functions()["Functions"]
made = [one["LogicalResourceId"] for one in resources]
print(json.dumps({"made": made, "functions": functions, "left": left}, default=str))
