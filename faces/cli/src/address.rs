//! What the user names: a space, or an object in it.

use std::fmt;
use std::str::FromStr;

/// `[host:]SPACE` or `[host:]SPACE/NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) space: String,
    pub(crate) object: Option<String>,
}

/// `[host:]SPACE/NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ObjectAddress {
    pub(crate) space: String,
    pub(crate) object: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text.split_once(':') {
            None => text,
            Some(("host", name)) => name,
            Some(("threads", _)) => {
                return Err(
                    "what threads share is inside their process and cannot be seen from outside"
                        .into(),
                );
            }
            Some((scope, _)) => return Err(format!("\"{scope}\" is no scope: write host:SPACE")),
        };
        let (space, object) = match name.split_once('/') {
            Some((space, object)) => (space, Some(object)),
            None => (name, None),
        };
        if space.is_empty() || object.is_some_and(str::is_empty) {
            return Err("a name is missing: write SPACE or SPACE/NAME".into());
        }
        Ok(Self { space: space.into(), object: object.map(Into::into) })
    }
}

impl FromStr for ObjectAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Address { space, object } = text.parse()?;
        let object = object.ok_or_else(|| {
            format!("which object? write {space}/NAME (antiphon ls {space} lists them)")
        })?;
        Ok(Self { space, object })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{}/{object}", self.space),
            None => self.space.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<(String, Option<String>), String> {
        text.parse().map(|Address { space, object }| (space, object))
    }

    #[test]
    fn the_scope_may_be_left_out() {
        assert_eq!(address("a"), Ok(("a".into(), None)));
        assert_eq!(address("host:a"), Ok(("a".into(), None)));
        assert_eq!(address("host:a/b"), Ok(("a".into(), Some("b".into()))));
        for wrong in ["", "host:", "/b", "a/", "threads:a", "moon:a"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_object_has_a_name() {
        assert!("a".parse::<ObjectAddress>().unwrap_err().contains("antiphon ls a"));
        assert_eq!("a/b".parse::<ObjectAddress>().unwrap().object, "b");
    }
}
