use std::env;

fn main() {
    napi_build::setup();
    // For `src/node/build_info.rs`.
    println!("cargo::rustc-env=GOSCOPE_TARGET={}", env::var("TARGET").expect("Cargo names the target"));
    println!("cargo::rustc-env=GOSCOPE_FEATURES={}", features().join(","));
}

/// The crate's features, which Cargo tells as variables: `panic-probe` as `CARGO_FEATURE_PANIC_PROBE`.
fn features() -> Vec<String> {
    let names =
        env::vars().filter_map(|(name, _)| name.strip_prefix("CARGO_FEATURE_").map(str::to_lowercase));
    let mut features: Vec<String> = names.map(|name| name.replace('_', "-")).collect();
    features.sort();
    features
}
