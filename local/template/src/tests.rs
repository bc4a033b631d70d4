//! What is read of a template, and what is refused.

use super::*;

const TEMPLATE: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Memory: { Type: Number, Default: 1769 }
Conditions:
  InVpc: !Not [!Equals [!Ref AWS::Region, ""]]
Globals:
  Function:
    Timeout: 29
    VpcConfig: !If
      - InVpc
      - SubnetIds: !Ref Subnets
      - !Ref AWS::NoValue
    LoggingConfig: { LogFormat: JSON }
Resources:
  SearchFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: search } }
    Properties:
      MemorySize: !Ref Memory
      Policies: &Policies
        - !If [InVpc, { Some: { Arn: !Sub "arn:${AWS::Region}:*" } }, !Ref AWS::NoValue]
      Events:
        Post: { Type: HttpApi, Properties: { ApiId: !Ref Api, Path: /search, Method: post } }
        Queue: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn } }
  MigrateFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: migrate } }
    Properties: { Timeout: 900, Policies: *Policies }
  ChatFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: chat } }
    Properties: { FunctionUrlConfig: { AuthType: AWS_IAM, InvokeMode: RESPONSE_STREAM } }
  GetSearch:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      RouteKey: GET /search
      Target: !Sub integrations/${SearchIntegration}
      AuthorizationType: !If [InVpc, AWS_IAM, NONE]
  SearchIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: { IntegrationUri: !GetAtt SearchFunction.Arn }
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 5400
      RedrivePolicy: { deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5 }
  DeadLetters: { Type: AWS::SQS::Queue }
  Pieces: { Type: AWS::S3::Bucket }
Outputs:
  Url: { Value: !Sub "https://${Api}.example" }
"#;

#[test]
fn reads_functions_and_routes_past_the_tags_of_cloudformation() {
    let template = Template::parse(TEMPLATE).expect("the template is complete");
    let search = template
        .functions
        .iter()
        .find(|function| function.binary == "search");
    let expected = Function {
        resource: "SearchFunction".to_owned(),
        binary: "search".to_owned(),
        timeout: Duration::from_secs(29),
        memory: 1769,
        log_format: "JSON".to_owned(),
        source: Some(EventSource {
            queue: "Queue".to_owned(),
            batch: 10,
            most: None,
            reports_failures: false,
        }),
    };
    assert_eq!(search, Some(&expected));
    let queues = [
        Queue {
            resource: "Queue".to_owned(),
            visibility: Duration::from_mins(90),
            redrive: Some(("DeadLetters".to_owned(), 5)),
        },
        Queue {
            resource: "DeadLetters".to_owned(),
            visibility: Duration::from_secs(30),
            redrive: None,
        },
    ];
    let mut found = template.queues.clone();
    found.sort_by_key(|queue| std::cmp::Reverse(queue.visibility));
    assert_eq!(found, queues);
    assert_eq!(template.buckets, ["Pieces"]);
    let migrate = template
        .functions
        .iter()
        .find(|function| function.binary == "migrate");
    assert_eq!(
        migrate.map(|function| function.timeout),
        Some(Duration::from_mins(15))
    );

    let mut routes: Vec<_> = template
        .routes
        .iter()
        .map(|route| (route.key(), route.path.as_str(), route.function.as_str()))
        .collect();
    routes.sort_unstable();
    let expected = [
        ("$default", "/chat", "chat"),
        ("GET /search", "/search", "search"),
        ("POST /search", "/search", "search"),
    ];
    assert_eq!(routes, expected);
}

#[test]
fn a_route_that_leads_nowhere_is_refused_by_name() {
    let text = TEMPLATE.replace("!GetAtt SearchFunction.Arn", "!GetAtt Nobody.Arn");
    let error = Template::parse(&text).expect_err("there is no such function");
    let message = format!("{error:#}");
    assert!(
        message.contains("`GetSearch`") && message.contains("`IntegrationUri`"),
        "{message}"
    );
}

#[test]
fn a_function_without_a_binary_is_refused_by_name() {
    let text = "Resources: { Odd: { Type: 'AWS::Serverless::Function' } }";
    let error = Template::parse(text).expect_err("there is no binary");
    let message = format!("{error:#}");
    assert!(
        message.contains("`Odd`") && message.contains("Metadata.BuildProperties.Binary"),
        "{message}"
    );
}
