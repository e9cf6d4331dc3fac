"""The operators behind a source's preprocessing steps: frames in, frames out, the same rows however they are cut."""
