"""Makes the stack that SAM makes once an account and region, for its uploads: moto's change sets lose the tags by
which SAM knows it again."""

import boto3

boto3.client("cloudformation").create_stack(
    StackName="aws-sam-cli-managed-default",
    TemplateBody="""
        Resources: { Bucket: { Type: AWS::S3::Bucket } }
        Outputs: { SourceBucket: { Value: !Ref Bucket } }
    """,
    Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
)
