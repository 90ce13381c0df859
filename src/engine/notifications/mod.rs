pub(crate) mod listening;
pub(crate) mod notifier;
