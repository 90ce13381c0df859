//! A table as read from the catalogue, and its additions to the documented schema.

use super::source::{self, ADDITIONS_VERSION};

#[derive(Default)]
pub(super) struct Relation {
    /// Quoted if necessary, as is `name`.
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether the role that is connected owns it.
    pub(super) is_ours: bool,
    /// Whether a crash of the server leaves it unchanged.
    pub(super) is_logged: bool,
    /// Whether its rows are in partitions.
    pub(super) is_partitioned: bool,
    /// Whether the server has Citus, which may have distributed it.
    pub(super) is_beside_citus: bool,
    pub(super) columns: Vec<Column>,
    /// Triggers that fire, and run a function of `functions` that is trusted.
    pub(super) triggers: Vec<String>,
    /// Functions with names of ours that are in the table's schema.
    pub(super) functions: Vec<Function>,
}

/// A function in the table's schema.
pub(super) struct Function {
    pub(super) name: String,
    /// Whether the table's owner owns it, or the server's first superuser. Another role could have made it before us,
    /// and could change its body at any time; it would run with the rights of each role that writes to the table.
    pub(super) is_trusted: bool,
    /// The version of the additions that it belongs to; 0 for functions from before versions.
    pub(super) version: u32,
}

pub(super) struct Column {
    pub(super) name: String,
    /// The type as SQL writes it, without a width.
    pub(super) data_type: String,
    pub(super) has_time_zone: bool,
    /// The `n` of a `VARCHAR(n)`.
    pub(super) max_chars: Option<usize>,
    pub(super) leads_an_index: bool,
    /// Whether the role may read and write it.
    pub(super) is_usable: bool,
    /// The quoted name of its own sequence.
    pub(super) sequence: Option<String>,
    pub(super) sequence_serves: bool,
}

impl Relation {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether a default of `created_at` would be the time of the session's zone, in a column that holds UTC.
    pub(super) fn has_local_default(&self) -> bool {
        self.column("created_at").is_some_and(|column| {
            column.data_type.starts_with("timestamp") && !column.has_time_zone && column.is_usable
        })
    }
}

/// An addition that a table may have beyond the documented schema. Everything documented works without it; templates
/// refer to it by its name.
pub(super) struct Addition {
    pub(super) name: &'static str,
    pub(super) columns: &'static [&'static str],
    /// The column of these that has a sequence.
    pub(super) drawn: Option<&'static str>,
    pub(super) triggers: &'static [&'static str],
    pub(super) functions: &'static [&'static str],
    /// The addition that replaces this one. An older version of this package has made this one; it is never made
    /// again, and is used only if the table does not have the other.
    pub(super) replaced_by: Option<&'static str>,
}

impl Addition {
    /// Nothing yet, to be filled in.
    pub(super) const fn named(name: &'static str) -> Self {
        Self { name, columns: &[], drawn: None, triggers: &[], functions: &[], replaced_by: None }
    }

    /// Whether there is nothing to make: it is current, is replaced by another addition, or must be left alone.
    pub(super) fn is_settled(&self, relation: &Relation) -> bool {
        self.replaced_by.is_some() || self.is_current(relation) || self.is_foreign(relation)
    }

    /// Whether no part of it is missing, or of an older version.
    pub(super) fn is_current(&self, relation: &Relation) -> bool {
        self.is_made(relation)
            && self.functions_of(relation).all(|function| function.version >= *ADDITIONS_VERSION)
    }

    /// Whether another role has a function under the name of one of ours. Then the addition is left alone: our
    /// version under that name would belong to that role.
    fn is_foreign(&self, relation: &Relation) -> bool {
        self.functions_of(relation).any(|function| !function.is_trusted)
    }

    /// The statements that make it, for a table by its documented name.
    pub(super) fn sql(&self, documented: &str, Relation { schema, name, .. }: &Relation) -> String {
        let sequence = self.drawn.map(|column| format!("{documented}_{column}_seq"));
        let of = |kind, names: &'static [&str]| names.iter().map(move |name| (kind, *name));
        let wanted: Vec<_> = of("function", self.functions)
            .chain(of("column", self.columns))
            .chain(sequence.as_deref().map(|name| ("sequence", name)))
            .chain(of("trigger", self.triggers))
            .collect();
        source::additions(&wanted, schema, &format!("{schema}.{name}"))
    }

    fn functions_of<'a>(&'a self, relation: &'a Relation) -> impl Iterator<Item = &'a Function> {
        relation.functions.iter().filter(|function| self.functions.contains(&function.name.as_str()))
    }

    /// Whether no part of it is missing.
    pub(super) fn is_made(&self, relation: &Relation) -> bool {
        self.columns.iter().all(|name| relation.column(name).is_some())
            && self
                .drawn
                .is_none_or(|name| relation.column(name).is_some_and(|column| column.sequence.is_some()))
            && self.triggers.iter().all(|name| relation.triggers.iter().any(|known| known == name))
            && !self.is_foreign(relation)
            && self.functions.iter().all(|name| relation.functions.iter().any(|known| known.name == *name))
    }

    /// Whether all of it exists, and the role may use it.
    pub(super) fn is_usable(&self, relation: &Relation) -> bool {
        self.is_made(relation)
            && self.columns.iter().all(|name| relation.column(name).is_some_and(|column| column.is_usable))
            && self
                .drawn
                .is_none_or(|name| relation.column(name).is_some_and(|column| column.sequence_serves))
    }
}

/// The names of the additions that the statements of this table may use. An old addition counts only if the one that
/// replaces it does not; then it counts as both, and the newer one's statements run with the old columns.
pub(super) fn usable_additions(additions: &'static [Addition], relation: &Relation) -> Vec<&'static str> {
    let usable: Vec<_> = additions.iter().filter(|addition| addition.is_usable(relation)).collect();
    let current = usable.iter().filter(|addition| addition.replaced_by.is_none());
    let mut names: Vec<_> = current.map(|addition| addition.name).collect();
    for old in usable {
        if let Some(newer) = old.replaced_by
            && !names.contains(&newer)
        {
            names.extend([newer, old.name]);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    static ADDITIONS: [Addition; 3] = [
        Addition { columns: &["new"], ..Addition::named("new") },
        Addition { columns: &["old"], replaced_by: Some("new"), ..Addition::named("old") },
        Addition { columns: &["other"], ..Addition::named("other") },
    ];

    fn relation(names: &[&str], is_usable: impl Fn(&str) -> bool) -> Relation {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            data_type: "boolean".into(),
            has_time_zone: false,
            max_chars: None,
            leads_an_index: false,
            is_usable: is_usable(name),
            sequence: None,
            sequence_serves: false,
        };
        Relation { columns: names.iter().map(column).collect(), ..Relation::default() }
    }

    #[test]
    fn an_old_addition_is_used_only_without_the_one_that_replaces_it() {
        let usable = |names: &[&str], without: &str| {
            usable_additions(&ADDITIONS, &relation(names, |name| name != without))
        };
        assert_eq!(usable(&["old", "new", "other"], ""), ["new", "other"]);
        assert_eq!(usable(&["old", "other"], ""), ["other", "new", "old"]);
        assert_eq!(usable(&["old", "new"], "new"), ["new", "old"]);
        assert_eq!(usable(&["new"], ""), ["new"]);
        assert!(usable(&["old", "new"], "old").contains(&"new"));
        assert!(usable(&[], "").is_empty());
    }

    #[test]
    fn an_old_addition_is_never_made() {
        let nothing = relation(&[], |_| true);
        assert_eq!(ADDITIONS.each_ref().map(|addition| addition.is_settled(&nothing)), [false, true, false]);
    }
}
