//! Who may depend on whom.

use super::source::File;
use serde_json::Value;

/// A crate of ours and what it may depend on.
struct Layer {
    name: &'static str,
    /// Crates of ours, for every kind of dependency.
    ours: Ours,
    /// Crates of others in the normal build.
    others: Others,
}

enum Ours {
    Only(&'static [&'static str]),
    Any,
}

enum Others {
    Only(&'static [&'static str]),
    Any,
}

const LAYERS: &[Layer] = &[
    Layer { name: "antiphon-core", ours: Ours::Only(&[]), others: Others::Only(&[]) },
    Layer {
        name: "antiphon-sys",
        ours: Ours::Only(&["antiphon-core"]),
        others: Others::Only(&["libc"]),
    },
    Layer {
        name: "antiphon-place",
        ours: Ours::Only(&["antiphon-core", "antiphon-sys"]),
        others: Others::Only(&["zerocopy", "thiserror"]),
    },
    Layer {
        name: "antiphon",
        ours: Ours::Only(&["antiphon-core", "antiphon-sys", "antiphon-place"]),
        others: Others::Any,
    },
    Layer {
        name: "antiphon-cluster",
        ours: Ours::Only(&["antiphon-core", "antiphon-sys", "antiphon-place", "antiphon"]),
        others: Others::Any,
    },
    Layer {
        name: "antiphon-cli",
        ours: Ours::Only(&["antiphon", "antiphon-cluster"]),
        others: Others::Any,
    },
    Layer {
        name: "antiphon-python",
        ours: Ours::Only(&["antiphon", "antiphon-cluster"]),
        others: Others::Any,
    },
    Layer { name: "antiphon-copy", ours: Ours::Only(&["antiphon"]), others: Others::Only(&[]) },
    Layer { name: "antiphon-verify", ours: Ours::Any, others: Others::Any },
    Layer { name: "xtask", ours: Ours::Any, others: Others::Any },
];

/// What nothing may depend on.
const NOBODYS: &[&str] = &["antiphon-verify", "antiphon-bench", "antiphon-fuzz", "xtask"];

/// What is built for model checkers only.
const CHECKERS: &[&str] = &["cfg(loom)", "cfg(shuttle)"];

/// Every arrow that points the wrong way, and every dependency that `ARCHITECTURE.md` does not explain.
pub(super) fn check(metadata: &Value, files: &[File]) -> Vec<String> {
    let explained = files.iter().find(|file| file.path == "ARCHITECTURE.md");
    let explained = explained.map_or("", |file| file.text.as_str());
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut findings = Vec::new();
    for package in packages {
        let name = text(&package["name"]);
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            findings.push(format!("{name}: no layer; give it one in xtask/src/layers/arrows.rs"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        for dependency in dependencies {
            findings.extend(finding(layer, dependency, explained));
        }
    }
    findings
}

fn finding(layer: &Layer, dependency: &Value, explained: &str) -> Option<String> {
    let (from, to) = (layer.name, text(&dependency["name"]));
    if NOBODYS.contains(&to) {
        return Some(format!("{from} -> {to}: nothing may depend on {to}"));
    }
    if dependency["path"].is_string() {
        let allowed = match layer.ours {
            Ours::Only(names) => names.contains(&to),
            Ours::Any => true,
        };
        return (!allowed).then(|| format!("{from} -> {to}: arrows point down only"));
    }
    // Tests and models may use more, and a model checker replaces what it checks.
    let is_shipped = dependency["kind"].is_null()
        && !dependency["target"].as_str().is_some_and(|target| CHECKERS.contains(&target));
    if let Others::Only(names) = layer.others
        && is_shipped
        && !names.contains(&to)
    {
        return Some(format!("{from} -> {to}: this layer does without it"));
    }
    (!explained.contains(&format!("`{to}`")))
        .then(|| format!("{from} -> {to}: ARCHITECTURE.md does not say why"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::json;

    fn findings(package: &str, dependency: serde_json::Value) -> usize {
        let metadata = json!({"packages": [{"name": package, "dependencies": [dependency]}]});
        check(&metadata, &[]).len()
    }

    #[test]
    fn an_arrow_up_and_an_arrow_to_a_check_are_found() {
        let up = json!({"name": "antiphon-sys", "path": "x", "kind": null, "target": null});
        assert_eq!(findings("antiphon-core", up.clone()), 1);
        assert_eq!(findings("antiphon-place", up), 0);
        let check = json!({"name": "xtask", "path": "x", "kind": "dev", "target": null});
        assert_eq!(findings("antiphon", check), 1);
    }

    #[test]
    fn what_others_wrote_stays_out_of_the_core() {
        let shipped = json!({"name": "libc", "kind": null, "target": null});
        assert_eq!(findings("antiphon-core", shipped), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let down = json!({"name": "antiphon", "path": "x", "kind": null, "target": null});
        assert_eq!(findings("antiphon-extra", down), 1);
    }
}
