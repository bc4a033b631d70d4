//! How a database's vectors and words were made.

use std::fmt;

use super::Centring;

/// The model, its centring, and the analysis of words: vectors and words of different recipes cannot be compared. A
/// database stores its recipe's name, and refuses searches and writes with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The model's name.
    pub model: String,
    /// The name of the centring; none for uncentred embeddings.
    pub centring: Option<String>,
    /// The version of the analysis.
    pub analysis: u32,
}

const CENTRED: &str = " centred ";
const WORDS: &str = " words ";

impl Recipe {
    /// The version of the analysis before databases stored recipes.
    const FIRST_ANALYSIS: u32 = 1;

    /// This build's recipe for a model.
    #[must_use]
    pub fn new(model: &str, centring: Option<&Centring>) -> Self {
        Self {
            model: model.to_owned(),
            centring: centring.map(ToString::to_string),
            analysis: analysis::VERSION,
        }
    }

    /// Parses a stored name. Before recipes, it was the model's name alone.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let words = name
            .rsplit_once(WORDS)
            .and_then(|(rest, version)| Some((rest, version.parse().ok()?)));
        let (rest, analysis) = words.unwrap_or((name, Self::FIRST_ANALYSIS));
        let (model, centring) = match rest.rsplit_once(CENTRED) {
            Some((model, centring)) => (model, Some(centring.to_owned())),
            None => (rest, None),
        };
        Self {
            model: model.to_owned(),
            centring,
            analysis,
        }
    }
}

/// The stored name, such as `multilingual-e5-small centred 0.85-1a2b3c4d words 2`.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)?;
        if let Some(centring) = &self.centring {
            write!(f, "{CENTRED}{centring}")?;
        }
        write!(f, "{WORDS}{}", self.analysis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_identifies_the_whole_recipe() {
        for (model, centring) in [("a-model", None), ("a words model", Some("0.85-1a2b3c4d"))] {
            let recipe = Recipe {
                model: model.to_owned(),
                centring: centring.map(ToOwned::to_owned),
                analysis: 7,
            };
            assert_eq!(Recipe::of_name(&recipe.to_string()), recipe);
        }
    }

    #[test]
    fn a_name_from_before_recipes_is_that_of_the_model() {
        let recipe = Recipe::of_name("multilingual-e5-small");
        assert_eq!(recipe.model, "multilingual-e5-small");
        assert_eq!(
            (recipe.centring, recipe.analysis),
            (None, Recipe::FIRST_ANALYSIS)
        );
    }
}
