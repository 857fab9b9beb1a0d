//! Storage for the records of a node: a log in one preallocated file, with one sync a commit.
