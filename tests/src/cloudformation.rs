//! The template as expanded by SAM and evaluated by `CloudFormation`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::{Assets, Tools};

/// `template.yaml`, expanded by SAM.
pub struct Template(Value);

/// The resources of a stack by logical id, before creation: a reference to a resource is its name, such as
/// `${Logs.Arn}`.
pub type Stack = Map<String, Value>;

impl Template {
    /// The expanded template; the first caller runs SAM.
    ///
    /// # Errors
    /// When SAM rejects it.
    pub async fn expanded() -> Result<Self> {
        static EXPANDED: OnceCell<Value> = OnceCell::const_new();
        let expanded = EXPANDED.get_or_try_init(expand).await?;
        Ok(Self(expanded.clone()))
    }

    /// The resources of a stack with these parameters and defaults for the others.
    ///
    /// # Errors
    /// For an unknown parameter, or an intrinsic function that is not implemented here.
    pub fn stack(&self, parameters: &[(&str, &str)]) -> Result<Stack> {
        let known = &self.0["Parameters"];
        for (name, _) in parameters {
            ensure!(known[name].is_object(), "the template has no {name}");
        }
        let inputs = Inputs {
            template: &self.0,
            parameters,
        };
        let mut stack = Stack::new();
        let resources = self.0["Resources"].as_object();
        for (id, resource) in resources.context("the template has resources")? {
            let there = match resource["Condition"].as_str() {
                Some(condition) => inputs.holds(condition)?,
                None => true,
            };
            if let Some(resolved) = inputs.resolve(resource)?.filter(|_| there) {
                stack.insert(id.clone(), resolved);
            }
        }
        Ok(stack)
    }

    /// The rules that reject these parameters before anything is created.
    ///
    /// # Errors
    /// Like [`Self::stack`].
    pub fn refusals(&self, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let inputs = Inputs {
            template: &self.0,
            parameters,
        };
        let holds =
            |rule: &Value| Ok::<_, anyhow::Error>(inputs.resolve(rule)? == Some(json!(true)));
        let mut refusals = Vec::new();
        for rule in self.0["Rules"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
        {
            let condition = &rule["RuleCondition"];
            if !condition.is_null() && !holds(condition)? {
                continue;
            }
            for assertion in rule["Assertions"].as_array().into_iter().flatten() {
                if !holds(&assertion["Assert"])? {
                    refusals.push(text(&assertion["AssertDescription"])?.to_owned());
                }
            }
        }
        Ok(refusals)
    }

    /// The types of all resources, whatever their conditions.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        let resources = self.0["Resources"].as_object();
        let resources = resources.into_iter().flat_map(Map::values);
        resources.filter_map(|resource| resource["Type"].as_str())
    }

    /// The pattern that a parameter's value must match.
    #[must_use]
    pub fn pattern(&self, parameter: &str) -> Option<&str> {
        self.0["Parameters"][parameter]["AllowedPattern"].as_str()
    }
}

async fn expand() -> Result<Value> {
    let workspace = &Assets::prepared().await?.workspace;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/expand.py");
    let mut python = Tools::installed().await?.command("python");
    python.arg(script).arg("template.yaml");
    let printed = Tools::run(python.current_dir(workspace)).await?;
    serde_json::from_str(&printed).context("the expanded template is JSON")
}

/// The values for intrinsic functions.
struct Inputs<'a> {
    template: &'a Value,
    parameters: &'a [(&'a str, &'a str)],
}

impl Inputs<'_> {
    /// The value with intrinsic functions evaluated; `None` for `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Result<Option<Value>> {
        Ok(Some(match value {
            Value::Array(items) => Value::Array(self.list(items)?),
            Value::Object(fields) => match fields.iter().next() {
                Some((name, operand))
                    if fields.len() == 1
                        && (["Ref", "Condition"].contains(&name.as_str())
                            || name.starts_with("Fn::")) =>
                {
                    return self.call(name, operand);
                }
                _ => {
                    let mut resolved = Map::new();
                    for (name, field) in fields {
                        if let Some(field) = self.resolve(field)? {
                            resolved.insert(name.clone(), field);
                        }
                    }
                    Value::Object(resolved)
                }
            },
            other => other.clone(),
        }))
    }

    fn list(&self, items: &[Value]) -> Result<Vec<Value>> {
        let resolved = items.iter().map(|item| self.resolve(item).transpose());
        resolved.flatten().collect()
    }

    fn call(&self, function: &str, operand: &Value) -> Result<Option<Value>> {
        let operands = operand.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Some(match (function, operands) {
            ("Ref", _) => return Ok(self.reference(text(operand)?)),
            ("Fn::GetAtt", [resource, attribute]) => {
                json!(format!("${{{}.{}}}", text(resource)?, text(attribute)?))
            }
            ("Fn::Sub", [pattern, names]) => {
                let mut result = self.substitute(text(pattern)?);
                for (name, value) in names.as_object().into_iter().flatten() {
                    result = result.replace(&format!("${{{name}}}"), &plain(self.resolve(value)?));
                }
                json!(result)
            }
            ("Fn::Sub", _) => json!(self.substitute(text(operand)?)),
            ("Fn::If", [condition, yes, no]) => {
                let chosen = if self.holds(text(condition)?)? {
                    yes
                } else {
                    no
                };
                return self.resolve(chosen);
            }
            ("Fn::Select", [index, list]) => {
                let index = usize::try_from(index.as_u64().context("an index")?)?;
                let list = self.resolve(list)?.unwrap_or_default();
                list.get(index)
                    .context("Fn::Select beyond the list")?
                    .clone()
            }
            ("Fn::Split", [separator, whole]) => {
                let whole = self.resolve(whole)?.unwrap_or_default();
                text(&whole)?.split(text(separator)?).collect()
            }
            ("Fn::Join", [separator, list]) => {
                let list = self.resolve(list)?.unwrap_or_default();
                let parts: Result<Vec<&str>> =
                    list.as_array().into_iter().flatten().map(text).collect();
                json!(parts?.join(text(separator)?))
            }
            ("Fn::Equals", [one, other]) => {
                json!(plain(self.resolve(one)?) == plain(self.resolve(other)?))
            }
            ("Fn::GetAZs", _) => json!(["${AWS::Region}a", "${AWS::Region}b", "${AWS::Region}c"]),
            ("Fn::Not", [operand]) => json!(self.resolve(operand)? == Some(json!(false))),
            ("Fn::And", _) => json!(self.list(operands)?.iter().all(|it| *it == true)),
            ("Fn::Or", _) => json!(self.list(operands)?.iter().any(|it| *it == true)),
            ("Condition", _) => json!(self.holds(text(operand)?)?),
            ("Fn::EachMemberEquals", [list, value]) => {
                let (list, value) = (
                    self.resolve(list)?.unwrap_or_default(),
                    plain(self.resolve(value)?),
                );
                let mut members = list.as_array().into_iter().flatten();
                json!(members.all(|member| *member == value))
            }
            _ => anyhow::bail!("{function} of {operand} is not implemented here"),
        }))
    }

    fn holds(&self, condition: &str) -> Result<bool> {
        let rule = self.template["Conditions"].get(condition);
        let rule = rule.with_context(|| format!("there is no condition {condition}"))?;
        Ok(self.resolve(rule)? == Some(json!(true)))
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if name == "AWS::NoValue" {
            return None;
        }
        // An ARN, of which the last part is used.
        if name == "AWS::StackId" {
            let id = "stack/${AWS::StackName}/5b1f0c60-c95e-11f0-8f7c-0a3f5d2e6b11";
            return Some(json!(format!(
                "arn:aws:cloudformation:eu-west-3:123456789012:{id}"
            )));
        }
        let parameter = &self.template["Parameters"][name];
        if !parameter.is_object() {
            return Some(json!(format!("${{{name}}}")));
        }
        let given = self.parameters.iter().find(|(given, _)| *given == name);
        let value = given.map_or_else(|| parameter["Default"].clone(), |(_, value)| json!(value));
        Some(match value.as_str() {
            Some(list) if parameter["Type"] == "CommaDelimitedList" => list.split(',').collect(),
            _ => value,
        })
    }

    fn substitute(&self, pattern: &str) -> String {
        let names = self.template["Parameters"].as_object();
        let mut result = pattern.to_owned();
        for name in names.into_iter().flat_map(Map::keys) {
            let value = plain(self.reference(name));
            result = result.replace(&format!("${{{name}}}"), &value);
        }
        result
    }
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is not a string"))
}

/// `CloudFormation` parameters are strings, whatever their type.
fn plain(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
