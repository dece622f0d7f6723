//! What one record means.
