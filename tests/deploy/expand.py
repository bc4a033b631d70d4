"""Prints the template that CloudFormation gets of a SAM template, as JSON, offline.

    python expand.py template.yaml
"""

import json
import sys

from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse


class NoManagedPolicies:
    """The template names none, so AWS need not be asked for theirs."""

    def load(self):
        return {}


with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
validator = SamTemplateValidator(template, NoManagedPolicies(), region="eu-west-1")
print(json.dumps(yaml_parse(validator.get_translated_template_if_valid())))
