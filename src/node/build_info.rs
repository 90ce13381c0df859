//! The identity of this addon, as `build.rs` found it, so that a program, or a bug report, can state what it runs.

use napi_derive::napi;

#[napi(object)]
#[allow(unreachable_pub)] // exported to JavaScript
pub struct BuildInfo {
    /// The crate's version, which is the npm package's.
    pub version: String,
    /// The target triple that it was compiled for.
    pub target: String,
    /// The optional features of the crate that are compiled in.
    pub features: Vec<String>,
}

#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn build_info() -> BuildInfo {
    let features = env!("GOSCOPE_FEATURES").split_terminator(',');
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        target: env!("GOSCOPE_TARGET").to_owned(),
        features: features.map(str::to_owned).collect(),
    }
}
