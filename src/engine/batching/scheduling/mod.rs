pub(crate) mod access;
#[cfg(test)]
mod dividing;
pub(crate) mod events;
#[cfg(test)]
pub(crate) mod for_test;
pub(crate) mod isolation;
pub(crate) mod key_scheduler;
pub(crate) mod line;
pub(crate) mod linger;
pub(crate) mod pipelines;
#[cfg(test)]
mod properties;
pub(crate) mod queue;
pub(crate) mod ready;
pub(crate) mod retries;
pub(crate) mod returning;
pub(crate) mod scans;
pub(crate) mod scheduled;
pub(crate) mod scheduler;
#[cfg(test)]
mod simulated_requests;
#[cfg(test)]
mod simulation;
