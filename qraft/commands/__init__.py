"""The commands of `qraft`: each parses its options and calls; what it needs is loaded when it runs."""
