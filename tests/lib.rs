//! The part of the integration tests that fuzz targets share: drivers of real nodes whose decisions come from bytes.

pub mod byte_driven;
