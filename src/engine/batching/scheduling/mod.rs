pub(crate) mod key_scheduler;
pub(crate) mod ready;
pub(crate) mod scans;
